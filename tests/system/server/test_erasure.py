"""Erasing on SQLite: in short steps, whatever ends the process, and with room beside the database
only."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from sqlalchemy import Engine

from collectors import run_collector
from erased import delete, leftovers, make, present
from hosts import ROOT
from plaintally_server.store import erasure, schema
from plaintally_server.store.database import open_for_writing
from programs import program
from shared import KEY, Shared, forget, found_in, share, write_contract
from waiting import PATIENCE_S

TABLES = ROOT / "tests/support"
CHILD = program("erasure_child")


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    path = tmp_path / "a.sqlite3"
    schema.migrate(path)
    made = open_for_writing(path, alone=True)
    yield made
    made.dispose()


def test_a_killed_pass_goes_on_where_it_was(tmp_path: Path) -> None:
    """Whatever was answered holds, and in the end not a byte is left, however often the process is
    killed."""
    path = tmp_path / "a.sqlite3"
    chance = random.Random(3)  # noqa: S311
    kept = make(path, sessions=30)
    gone = list[list[str]]()
    stages = set[str]()
    turn = 0
    while turn < 25 or not {"documents_copy", "documents_old"} <= stages:  # killed in both phases
        turn += 1
        assert turn < 200
        arguments = [sys.executable, "-c", CHILD, str(path), str(turn), json.dumps(kept)]
        environment = {"PYTHONPATH": f"{TABLES}:{Path(__file__).parent}", "PATH": ""}
        with subprocess.Popen(
            arguments, stdout=subprocess.PIPE, text=True, env=environment
        ) as child:
            assert child.stdout
            lines = [child.stdout.readline()]
            time.sleep(chance.uniform(0, 0.2))
            child.kill()
            lines += child.stdout.read().splitlines()
        unsure: list[str] = []
        for line in lines:
            kind, ids = json.loads(line)
            unsure = ids if kind == "?" else []
            if kind == "+":
                kept.append(ids)
            elif kind == "-":
                kept.remove(ids)
                gone.append(ids)
        stages.update(leftovers(path) or ["none"])
        there = present(path)
        if unsure:
            assert not set(unsure) & there or set(unsure) <= there
            if unsure in kept:
                kept.remove(unsure)
            (kept if unsure[0] in there else gone).append(unsure)
        assert there == {one for ids in kept for one in ids}
    assert "none" in stages
    engine = open_for_writing(path, alone=True)
    assert erasure.erase(engine)
    engine.dispose()
    assert gone
    assert not found_in(path, [one for ids in gone for one in ids])
    assert not leftovers(path)
    assert present(path) == {one for ids in kept for one in ids}


def test_a_collector_that_stops_during_a_pass_goes_on_with_it(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite3"
    made = make(path, sessions=150, invokes=30)
    contract = f"--contract={write_contract(tmp_path)}"
    with run_collector(path, contract) as collector:
        mine = Shared()
        share(collector, mine)
        assert forget(collector, mine.session, KEY).status == 200
        collector.process.send_signal(signal.SIGTERM)
        assert collector.process.wait(30) == 0
    assert leftovers(path)
    with run_collector(path, contract):
        deadline = time.monotonic() + PATIENCE_S
        while leftovers(path) or found_in(path, mine.ids):
            assert time.monotonic() < deadline
            time.sleep(0.2)
    assert present(path) == {one for ids in made for one in ids}


NAMESPACE = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs mount namespaces")
def test_the_temporary_folder_is_not_needed(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite3"
    small = tmp_path / "small"
    small.mkdir()
    made = make(path, sessions=200, imports=40_000)
    engine = open_for_writing(path)
    delete(engine, made[0][0])
    done = in_small(small, "TMPDIR", ["forget", "erase", "--database", str(path)])
    assert (done.returncode, done.stdout) == (0, "Erased.\n"), done.stderr
    assert not found_in(path, made[0])


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs mount namespaces")
def test_a_disk_without_room_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite3"
    small = tmp_path / "small"
    small.mkdir()
    make(path, sessions=10)
    script = (
        f"cp {path} {small} && {sys.executable} -m plaintally_server forget erase --database "
        f"{small}/a.sqlite3"
    )
    done = in_small(small, "UNUSED", [], script=script)
    assert done.returncode == 1
    assert "MiB are needed beside the database and" in done.stderr
    assert "make room" in done.stderr


def in_small(
    folder: Path, name: str, arguments: Sequence[str], *, script: str | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run a command with a file system of 1 MB in a folder, which the variables name."""
    script = script or f"{sys.executable} -m plaintally_server {' '.join(arguments)}"
    variables: Mapping[str, str] = {
        name: str(folder),
        f"SQLITE_{name}": str(folder),
        "PATH": "/usr/bin:/bin:/usr/sbin",
    }
    mount = f"mount -t tmpfs -o size=1m none {folder}"
    command = [*NAMESPACE, "sh", "-c", f"{mount} && {script}"]
    return subprocess.run(command, capture_output=True, text=True, env=variables, check=False)
