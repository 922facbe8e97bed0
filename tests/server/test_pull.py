"""Pulling from a Firestore project: what is there arrives once, whatever happens in between."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import uuid
from contextlib import closing, suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from collectors import count, run_server
from emulators import Emulator, needs_google
from plaintally_server.pull import PAGE
from plaintally_server.remote import Project
from plaintally_server.retention import Due, purge
from plaintally_server.store.opening import open_reader, open_store
from plaintally_server.store.reading import SQLReader
from shared import Document, Shared, changed, double, integer, string, write_contract

pytestmark = pytest.mark.once

ADDED = count(package_version={"stringValue": "1.0"})


def pull(folder: Path, firestore: Emulator, *options: str) -> str:
    """What the command says, which succeeds."""
    contract = str(write_contract(folder))
    done = run_server(folder, "pull", "--contract", contract, "--package", "other", *options, env=firestore.env)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def counts(number: int, package: str = "rxinfer") -> dict[str, Document]:
    ids = [str(uuid.uuid4()) for _ in range(number)]
    return {f"using_{package}/{one}": count(one) for one in ids}  # type: ignore[misc]


def reader(folder: Path) -> SQLReader:
    return open_reader(folder / "plaintally.sqlite3")


def total(folder: Path, package: str = "rxinfer") -> int:
    return reader(folder).total(package)


def test_what_is_there_arrives_once(firestore: Emulator, tmp_path: Path) -> None:
    shared = Shared()
    firestore.put({**counts(3), **counts(2, "other"), **counts(1, "unknown"), **shared.documents})
    assert pull(tmp_path, firestore) == "Looked at 9 documents; 9 of them are new or changed.\n"
    assert pull(tmp_path, firestore) == "Looked at 9 documents; 0 of them are new or changed.\n"
    firestore.put(counts(1))
    assert "1 of them are new" in pull(tmp_path, firestore)
    assert (total(tmp_path), total(tmp_path, "other")) == (4, 2)
    with firestore.client() as client:
        day = client.collection("sessions").get()[0].create_time.date()
    today = reader(tmp_path).daily_counts("rxinfer", day - timedelta(1), day + timedelta(1))
    assert sum(number for _, number in today) == 4
    assert {found for found, _ in today} <= {day, day + timedelta(1)}
    assert min(found for found, _ in today) > date(2026, 1, 1)
    shown = run_server(tmp_path, "lookup", shared.session)
    assert "canary_model" in run_server(tmp_path, "lookup", shared.session, "--contract", "rxinfer.json").stdout
    assert shared.session in shown.stdout


def test_what_is_over_here_is_not_counted_again(firestore: Emulator, tmp_path: Path) -> None:
    """What is there for the first time is, however old; and what is seen again can be deleted there."""
    shared, until = Shared(), datetime.now(UTC) + timedelta(hours=1)
    firestore.put({**counts(3), **counts(2, "other"), **shared.documents})
    pull(tmp_path, firestore)
    with closing(open_store(tmp_path / "plaintally.sqlite3")) as store:
        asyncio.run(purge(store, Due("rxinfer", "documents", until), now=lambda: datetime.now(UTC)))
    firestore.put(counts(1))
    assert pull(tmp_path, firestore) == "Looked at 10 documents; 1 of them are new or changed.\n"
    assert (total(tmp_path), total(tmp_path, "other")) == (4, 2)
    assert reader(tmp_path).session_tree(shared.session) == (None, [])
    assert "Deleted 10 in the project." in pull(tmp_path, firestore, "--delete")
    assert total(tmp_path) == 4


def test_what_changes_is_taken_and_keeps_the_day_it_came(firestore: Emulator, tmp_path: Path) -> None:
    shared = Shared()
    firestore.put(shared.documents)
    firestore.put({shared.names[1]: changed(shared.stats_document(), max_duration_ms=double(13.0))})
    pull(tmp_path, firestore)
    before = reader(tmp_path).session_tree(shared.session).stats[0].stats
    with firestore.client() as client:
        [there] = client.collection("session_stats").get()
    assert before.create_time == there.create_time < there.update_time == before.update_time
    more = changed(shared.stats_document(), total_invokes=integer(3), failed_count=integer(1))
    firestore.put({shared.names[1]: more, shared.names[0]: changed(shared.session_document(), package=string("other"))})
    said = pull(tmp_path, firestore)
    assert "1 of them are new or changed" in said
    assert "1 in sessions: package, deletion_key_hash never change here.\n" in said
    after = reader(tmp_path).session_tree(shared.session).stats[0].stats
    assert after.fields["total_invokes"] == 3
    assert after.create_time == before.create_time
    assert after.update_time > before.update_time


def test_what_no_contract_has_is_listed_and_stays(firestore: Emulator, tmp_path: Path) -> None:
    shared, good = Shared(), counts(2)
    wrong = changed(shared.invoke_document(1), context={"mapValue": {"fields": {"secret": string("x")}}})
    firestore.put({**good, f"using_rxinfer/{uuid.uuid4()}": ADDED, "using_rxinfer/b": ADDED})  # type: ignore[dict-item]
    firestore.put({**shared.documents, shared.names[3]: wrong})
    said = pull(tmp_path, firestore, "--delete")
    assert said.splitlines() == [
        "Looked at 8 documents; 5 of them are new or changed.",
        "Refused, and left in place: 3.",
        "  1 in invokes: The field context must have no keys but those that the contract declares.",
        "  2 in using_rxinfer: A document of using_rxinfer has the fields id, timestamp; there is 1 unknown.",
        "Deleted 5 in the project.",
    ]
    assert len(firestore.ids("using_rxinfer")) == 2
    assert firestore.ids("invokes") == {shared.invoke_ids[1]}
    assert firestore.ids("sessions") | firestore.ids("session_stats") == set()
    assert total(tmp_path) == 2
    assert len(reader(tmp_path).session_tree(shared.session).stats[0].invokes) == 1


def test_a_session_that_is_deleted_here_can_be_deleted_there(firestore: Emulator, tmp_path: Path) -> None:
    gone, kept = Shared(), Shared()
    firestore.put({**gone.documents, **kept.documents})
    pull(tmp_path, firestore)
    assert run_server(tmp_path, "forget", "approve", gone.session).returncode == 0
    late = Shared(session=gone.session)
    firestore.put({late.names[1]: late.stats_document(), late.names[2]: late.invoke_document()})
    said = pull(tmp_path, firestore)
    assert "0 of them are new" in said
    assert "Of sessions deleted here, 6 are there yet; --delete-forgotten deletes them." in said
    assert reader(tmp_path).session_tree(gone.session).stats == []
    assert "Deleted 6 in the project." in pull(tmp_path, firestore, "--delete-forgotten")
    assert firestore.ids("sessions") == {kept.session}
    assert firestore.ids("session_stats") == {kept.stats}
    assert firestore.ids("invokes") == set(kept.invoke_ids)
    assert gone.session.encode() not in (tmp_path / "plaintally.sqlite3").read_bytes()


@needs_google
def test_nothing_is_deleted_that_was_changed_after_it_was_read(google: Emulator) -> None:
    one, other = Shared(), Shared()
    google.put({**one.documents, **other.documents})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FIRESTORE_EMULATOR_HOST", google.host)
        project = Project(google.project)
        page = project.page("session_stats", after=None, size=PAGE)
        google.put({one.names[1]: changed(one.stats_document(), total_invokes=integer(9))})
        assert project.delete("session_stats", page) == 1
        assert google.ids("session_stats") == {one.stats}
        assert project.delete("session_stats", page) == 0
        project.close()


@needs_google
@pytest.mark.parametrize("options", [(), ("--delete",)], ids=["", "delete"])
def test_a_pull_that_is_killed_goes_on_where_it_was(google: Emulator, tmp_path: Path, options: tuple[str, ...]) -> None:
    """Killed as soon as some pages more are here, again and again, until one run comes to the end."""
    given = counts(PAGE * 12 + 5)
    google.put(given)
    ids = {name.partition("/")[2] for name in given}
    command = [sys.executable, "-m", "plaintally_server", "pull", "--package", "rxinfer", *options]
    killed = 0
    for aim in range(PAGE, PAGE * 9, PAGE * 3):
        process = subprocess.Popen(
            command, cwd=tmp_path, env={**os.environ, **google.env}, stdout=subprocess.PIPE, text=True
        )
        with process:
            while process.poll() is None:
                with suppress(OperationalError):  # there is no file, or no table yet
                    if total(tmp_path) >= aim:
                        process.kill()
                        break
            killed += process.wait() == -signal.SIGKILL
        here = total(tmp_path)
        assert aim <= here <= len(ids)
        assert not options or len(google.ids("using_rxinfer")) + here >= len(ids)
    assert killed >= 2
    last = pull(tmp_path, google, *options)
    [looked] = map(int, re.findall(r"Looked at (\d+)", last))
    assert looked < PAGE * 9 or here == len(ids)  # it was done before it was killed: the next one begins anew
    assert total(tmp_path) == len(ids)
    pull(tmp_path, google, *options)
    assert total(tmp_path) == len(ids)
    assert google.ids("using_rxinfer") == (set() if options else ids)


def test_what_cannot_work_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "key.json").write_text("{}")
    (tmp_path / "list.json").write_text("[]")
    (tmp_path / "without/google").mkdir(parents=True)
    (tmp_path / "without/google/__init__.py").touch()  # stands before Google's client, as if that were not installed
    done = run_server(tmp_path, "pull", "--project=p", "--package=pkg", env={"PYTHONPATH": f"{tmp_path}/without"})
    told = "plaintally-server: Google's client is missing; pip install 'plaintally-server[firestore]'\n"
    assert (done.returncode, done.stderr) == (1, told)
    for options, code, told in (
        ((), 2, "Missing option '--project'"),
        (("--project", "p/q"), 2, "no slash"),
        (("--project", "p"), 2, "Nothing to copy: name a package"),
        (("--project", "p", "--package", "A b"), 2, "must be a name such as"),
        (("--project", "p", "--package", "pkg", "--credentials", "key.json"), 1, "no key of a service account"),
        (("--project", "p", "--package", "pkg", "--credentials", "list.json"), 1, "it holds no JSON object"),
        (("--project", "p", "--package", "pkg"), 1, "the project p cannot be used (Your default credentials"),
    ):
        env = {"NO_GCE_CHECK": "true", "HOME": str(tmp_path), "CLOUDSDK_CONFIG": str(tmp_path)}
        done = run_server(tmp_path, "pull", *options, env=env)
        assert done.returncode == code
        assert told in done.stderr
        assert "Traceback" not in done.stderr
