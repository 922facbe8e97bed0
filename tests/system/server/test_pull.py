"""Pulling from a Firestore project: what is there arrives once, whatever happens in between."""

import asyncio
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from rich.progress import Progress
from sqlalchemy.exc import OperationalError

from collectors import count, numbers, run_collector, run_server
from emulators import Emulator, needs_google, run_emulator
from golden import Golden
from plaintally.contract import Contract
from plaintally_server.admin.pull import PAGE, Pull
from plaintally_server.exceptions import CommandError
from plaintally_server.firestore.client import Project
from plaintally_server.jobs.retention import purge
from plaintally_server.model import Due
from plaintally_server.store import combinations, pull_progress
from plaintally_server.store.maintenance import Maintenance
from plaintally_server.store.opening import open_reader, open_store
from plaintally_server.store.reader import SQLReader
from postgresql import Postgres
from shared import CONTRACT, Document, Shared, changed, double, integer, string, write_contract

pytestmark = pytest.mark.once

ADDED = count(package_version={"stringValue": "1.0"})
NARROW = Contract()
WIDE = Contract(counter=("package_version",))


def pull(folder: Path, firestore: Emulator, *options: str, contract: Contract = CONTRACT) -> str:
    """What the command says, which succeeds."""
    path = str(write_contract(folder, contract=contract))
    done = run_server(
        folder, "pull", "--contract", path, "--package", "other", *options, env=firestore.env
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def counts(number: int, package: str = "rxinfer") -> dict[str, Document]:
    ids = [str(uuid.uuid4()) for _ in range(number)]
    return {f"using_{package}/{one}": count(one) for one in ids}  # type: ignore[misc]


def reader(folder: Path) -> SQLReader:
    return open_reader(folder / "plaintally.sqlite3")


def total(folder: Path, package: str = "rxinfer") -> int:
    return reader(folder).total(package)


def forget_ids(folder: Path) -> int:
    """Drop the ids of imports, as is done after three days; return how many there were."""
    with closing(sqlite3.connect(folder / "plaintally.sqlite3")) as connection, connection:
        return connection.execute("DELETE FROM import_ids").rowcount


def test_what_is_there_arrives_once(firestore: Emulator, tmp_path: Path) -> None:
    shared = Shared()
    firestore.put({**counts(3), **counts(2, "other"), **counts(1, "unknown"), **shared.documents})
    assert numbers(pull(tmp_path, firestore)) == [9, 9]  # seen, and new or changed
    assert numbers(pull(tmp_path, firestore)) == [9, 0]
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
    assert (
        "canary_model"
        in run_server(tmp_path, "lookup", shared.session, "--contract", "rxinfer.json").stdout
    )
    assert shared.session in shown.stdout


def test_what_has_expired_here_is_not_taken_again(firestore: Emulator, tmp_path: Path) -> None:
    """A document that an earlier pull has not seen is taken however old, and one that it has seen
    can be deleted."""
    shared = Shared()
    until = datetime.now(UTC) + timedelta(hours=2)
    firestore.put({**counts(3), **counts(2, "other"), **shared.documents})
    pull(tmp_path, firestore)
    with closing(open_store(tmp_path / "plaintally.sqlite3")) as store:
        asyncio.run(store.begin_purge({"rxinfer": until}, at=datetime.now(UTC)))
        asyncio.run(purge(store, Due("rxinfer", "documents", until), now=lambda: datetime.now(UTC)))
    assert forget_ids(tmp_path) == 5
    firestore.put(counts(1))
    assert numbers(pull(tmp_path, firestore)) == [10, 1]
    assert (total(tmp_path), total(tmp_path, "other")) == (4, 2)
    assert reader(tmp_path).session_tree(shared.session) == (None, [])
    forget_ids(tmp_path)
    assert "Deleted 10 in the project." in pull(tmp_path, firestore, "--delete")
    assert total(tmp_path) == 4


def test_an_import_that_was_received_here_too_counts_once(
    firestore: Emulator, tmp_path: Path
) -> None:
    both = str(uuid.uuid4())
    twice = str(uuid.uuid4())
    with run_collector(tmp_path / "plaintally.sqlite3") as collector:
        assert collector.post(both).status == 200
    names = (both, "of-a-document-without-an-id", twice, "of-a-repeated-request")
    ids = (both, both, twice, twice)
    firestore.put(
        {f"using_rxinfer/{name}": count(one) for name, one in zip(names, ids, strict=True)}  # type: ignore[misc]
    )
    assert numbers(pull(tmp_path, firestore)) == [4, 1]
    assert total(tmp_path) == 2


@pytest.mark.npm_emulator
def test_an_import_counts_once_in_the_hour_of_the_project(tmp_path: Path) -> None:
    """Imports of two years, and pulls that are days apart."""
    clock = tmp_path / "clock"
    now = datetime.now(UTC)

    def put(ago: timedelta, *names: str) -> None:
        clock.write_text(str(-ago // timedelta(milliseconds=1)))
        firestore.put({f"using_rxinfer/{name}": count() for name in names})  # type: ignore[misc]

    clock.write_text("0")
    with run_emulator("npm", tmp_path, ["rxinfer"], clock=clock) as firestore:
        put(timedelta(days=700), "c", "a")
        put(timedelta(days=8), "b")
        for new in (3, 0):
            assert numbers(pull(tmp_path, firestore)) == [3, new]
            forget_ids(tmp_path)
        put(timedelta(days=4), "0", "d")
        assert "2 of them are new" in pull(tmp_path, firestore)
        forget_ids(tmp_path)
        put(timedelta(), "1")
        said = "Looked at 6 documents; 1 of them are new or changed.\nDeleted 6 in the project.\n"
        assert pull(tmp_path, firestore, "--delete") == said
    assert total(tmp_path) == 6
    spans = [(now - timedelta(days=ago)).date() for ago in (700, 8, 4, 0)]
    found = reader(tmp_path).daily_counts("rxinfer", spans[0], now.date() + timedelta(1))
    assert [number for _, number in found] == [2, 1, 2, 1]
    assert {day for day, _ in found} <= {*spans, *(day + timedelta(1) for day in spans)}
    [first] = reader(tmp_path).import_hours("rxinfer", found[0][0])
    assert first.imports == 2
    assert timedelta(hours=-1) < first.hour - (now - timedelta(days=700)) < timedelta(minutes=10)


@needs_google
def test_what_arrives_during_a_walk_is_counted_by_the_next(
    google: Emulator, tmp_path: Path
) -> None:
    """It is not counted by the walk, wherever it stands in the order of names, and not deleted."""
    google.put({f"using_rxinfer/{name}": count() for name in "bcd"})  # type: ignore[misc]
    with interrupted_walk(tmp_path, google, after="b"):
        google.put({f"using_rxinfer/{name}": count() for name in "aef"})  # type: ignore[misc]
    forget_ids(tmp_path)
    said = "Looked at 4 documents; 2 of them are new or changed.\nDeleted 2 in the project.\n"
    assert pull(tmp_path, google, "--delete") == said
    assert google.ids("using_rxinfer") == set("abef")
    forget_ids(tmp_path)
    assert "3 of them are new" in pull(tmp_path, google, "--delete")
    assert (total(tmp_path), google.ids("using_rxinfer")) == (6, set())


@contextmanager
def interrupted_walk(folder: Path, firestore: Emulator, *, after: str) -> Iterator[None]:
    """A pull that ends after the document with this id; documents come during it."""
    with opened(folder, firestore) as work:
        walk = work.store.begin_walk(
            firestore.project, "using_rxinfer", work.project.count("using_rxinfer", after=None).at
        )
        page = [
            one
            for one in work.project.page("using_rxinfer", after=None, size=PAGE)
            if one.id <= after
        ]
        work._count_page(walk, page, after)
        yield


@contextmanager
def opened(folder: Path, firestore: Emulator, contract: Contract = WIDE) -> Iterator[Pull]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FIRESTORE_EMULATOR_HOST", firestore.host)
        project = Project(firestore.project)
        store = Maintenance(folder / "plaintally.sqlite3")
        contracts = {"rxinfer": contract}
        yield Pull(
            project, store, contracts, delete=False, delete_forgotten=False, now=datetime.now(UTC)
        )
        project.close()


def test_two_pulls_at_once_count_nothing_twice(firestore: Emulator, tmp_path: Path) -> None:
    firestore.put(counts(3))
    with opened(tmp_path, firestore) as one, opened(tmp_path, firestore) as other:
        at = one.project.count("using_rxinfer", after=None).at
        begun = [
            work.store.begin_walk(firestore.project, "using_rxinfer", at) for work in (one, other)
        ]
        page = one.project.page("using_rxinfer", after=None, size=PAGE)
        one._count_page(begun[0], page, None)
        forget_ids(tmp_path)
        with pytest.raises(CommandError, match="another pull from the project"):
            other._count_page(begun[1], page, None)
    assert total(tmp_path) == 3


@needs_google
def test_invented_versions_stay_bounded(
    google: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(combinations, "MAX_STAGED", PAGE + 20)
    monkeypatch.setattr(combinations, "BATCH", PAGE)
    versions = {
        f"using_rxinfer/{one}": count(package_version=string(f"1.{one}"))
        for one in range(PAGE + 50)
    }
    google.put(versions)  # type: ignore[arg-type]
    with opened(tmp_path, google) as work:
        work.walk("using_rxinfer", Progress(disable=True))
    assert total(tmp_path) == len(versions)
    day = datetime.now(UTC).date()
    hours = [
        hour
        for ago in (0, 1)
        for hour in reader(tmp_path).import_hours("rxinfer", day - timedelta(days=ago))
    ]
    assert sum(hour.imports for hour in hours) == len(versions)
    assert len({hour.coarse for hour in hours}) <= PAGE + 21


def cut(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)


def test_what_changes_is_taken_and_keeps_the_day_it_came(
    firestore: Emulator, tmp_path: Path
) -> None:
    shared = Shared()
    firestore.put(shared.documents)
    firestore.put({shared.names[1]: changed(shared.stats_document(), max_duration_ms=double(13.0))})
    pull(tmp_path, firestore)
    before = reader(tmp_path).session_tree(shared.session).stats[0].stats
    with firestore.client() as client:
        [there] = client.collection("session_stats").get()
    assert before.create_time == cut(there.create_time)
    assert cut(there.update_time) <= before.update_time < there.update_time
    more = changed(shared.stats_document(), total_invokes=integer(3), failed_count=integer(1))
    firestore.put(
        {
            shared.names[1]: more,
            shared.names[0]: changed(shared.session_document(), package=string("other")),
        }
    )
    said = pull(tmp_path, firestore)
    assert "1 of them are new or changed" in said
    assert "1 in sessions: package, deletion_key_hash" in said
    after = reader(tmp_path).session_tree(shared.session).stats[0].stats
    assert after.fields["total_invokes"] == 3
    assert after.create_time == before.create_time
    assert after.update_time > before.update_time


def test_what_no_contract_has_is_listed_and_stays(
    firestore: Emulator, tmp_path: Path, golden: Golden
) -> None:
    shared = Shared()
    good = counts(2)
    wrong = changed(
        shared.invoke_document(1), context={"mapValue": {"fields": {"secret": string("x")}}}
    )
    firestore.put({**good, f"using_rxinfer/{uuid.uuid4()}": ADDED, "using_rxinfer/b": ADDED})  # type: ignore[dict-item]
    firestore.put({**shared.documents, shared.names[3]: wrong})
    golden.check("pull.txt", pull(tmp_path, firestore, "--delete"))
    assert len(firestore.ids("using_rxinfer")) == 2
    assert firestore.ids("invokes") == {shared.invoke_ids[1]}
    assert firestore.ids("sessions") | firestore.ids("session_stats") == set()
    assert total(tmp_path) == 2
    assert len(reader(tmp_path).session_tree(shared.session).stats[0].invokes) == 1


def rejected(number: int) -> dict[str, Document]:
    """Imports that the wide contract admits and the narrow one does not."""
    ids = [str(uuid.uuid4()) for _ in range(number)]
    return {f"using_rxinfer/{one}": count(one, package_version=string("1.0")) for one in ids}  # type: ignore[misc]


def kept_hashes(folder: Path) -> int:
    """The number of rejected imports that are remembered."""
    with closing(sqlite3.connect(folder / "plaintally.sqlite3")) as connection:
        [number] = connection.execute("SELECT count(*) FROM rejected_imports").fetchone()
        return int(number)


@pytest.mark.parametrize("options", [(), ("--delete",)], ids=["", "delete"])
def test_a_rejected_import_counts_when_the_contract_admits_it(
    firestore: Emulator, tmp_path: Path, options: tuple[str, ...]
) -> None:
    """It counts once, and is deleted in the project only after that."""
    late = rejected(5)
    firestore.put({**counts(3), **late})
    for _ in range(2):
        assert "Refused, and left in place: 5." in pull(
            tmp_path, firestore, *options, contract=NARROW
        )
        forget_ids(tmp_path)
        assert firestore.ids("using_rxinfer") >= {name.partition("/")[2] for name in late}
    assert total(tmp_path) == 3
    said = pull(tmp_path, firestore, *options, contract=WIDE)
    assert "5 of them are new" in said
    assert "Refused" not in said
    assert (total(tmp_path), kept_hashes(tmp_path)) == (8, 0)
    forget_ids(tmp_path)
    pull(tmp_path, firestore, "--delete", contract=WIDE)
    assert (total(tmp_path), firestore.ids("using_rxinfer")) == (8, set())


def test_a_counted_import_that_is_rejected_later_counts_once(
    firestore: Emulator, tmp_path: Path
) -> None:
    """Its contract was narrowed and widened again."""
    firestore.put(rejected(2))
    for contract, new in ((WIDE, 2), (NARROW, 0), (WIDE, 0)):
        said = pull(tmp_path, firestore, contract=contract)
        assert f"{new} of them are new" in said
        assert ("left in place: 2" in said) == (contract is NARROW)
        forget_ids(tmp_path)
    assert (total(tmp_path), kept_hashes(tmp_path)) == (2, 0)


def test_too_many_rejected_imports_end_a_pull_before_one_is_lost(
    firestore: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pull_progress, "MAX_REJECTED", 5)
    firestore.put({**counts(2), **rejected(5)})
    progress = Progress(disable=True)
    with opened(tmp_path, firestore, NARROW) as work:
        work.walk("using_rxinfer", progress)
        work.walk("using_rxinfer", progress)  # the same five again
    assert (total(tmp_path), kept_hashes(tmp_path)) == (2, 5)
    firestore.put({**counts(2), **rejected(1)})
    with opened(tmp_path, firestore, NARROW) as work:
        work.delete = True
        for _ in range(2):
            with pytest.raises(CommandError, match="more than 5 imports"):
                work.walk("using_rxinfer", progress)
    assert (total(tmp_path), kept_hashes(tmp_path), len(firestore.ids("using_rxinfer"))) == (
        2,
        5,
        10,
    )
    forget_ids(tmp_path)
    with opened(tmp_path, firestore, WIDE) as work:
        work.delete = True
        work.walk("using_rxinfer", progress)
    assert (total(tmp_path), kept_hashes(tmp_path), firestore.ids("using_rxinfer")) == (
        10,
        0,
        set(),
    )


def test_a_rejected_import_that_left_the_project_is_not_remembered(
    firestore: Emulator, tmp_path: Path
) -> None:
    firestore.put(rejected(3))
    pull(tmp_path, firestore, contract=NARROW)
    with firestore.client() as client:
        client.collection("using_rxinfer").document(min(firestore.ids("using_rxinfer"))).delete()
    assert kept_hashes(tmp_path) == 3
    pull(tmp_path, firestore, contract=NARROW)
    assert kept_hashes(tmp_path) == 2


@needs_google
def test_rejected_imports_of_several_pages_count_once(google: Emulator, tmp_path: Path) -> None:
    """The contract is widened in the middle of a walk."""
    google.put({**counts(PAGE), **rejected(PAGE)})
    with opened(tmp_path, google, NARROW) as work:
        walk = work.store.begin_walk(
            google.project, "using_rxinfer", work.project.count("using_rxinfer", after=None).at
        )
        page = work.project.page("using_rxinfer", after=None, size=PAGE)
        work._count_page(walk, page, page[-1].id)
    for _ in range(2):
        forget_ids(tmp_path)
        pull(tmp_path, google, "--delete", contract=WIDE)
    assert (total(tmp_path), kept_hashes(tmp_path), google.ids("using_rxinfer")) == (
        2 * PAGE,
        0,
        set(),
    )


@pytest.mark.postgres
def test_rejected_imports_are_kept_in_postgresql_too(postgres: Postgres) -> None:
    store = Maintenance(postgres.new_store())
    ids = [os.urandom(16) for _ in range(4)]
    pages = (((), ids[:3]), (ids[:3], ids[:2]), (ids[:1], ids[:1]), ((), ()))
    for days, (known, now) in enumerate(pages):
        walk = store.begin_walk("p", "using_rxinfer", datetime(2026, 11, 1 + days, tzinfo=UTC))
        assert store.find_rejected(walk, ids) >= set(known)
        store.take_page(walk, [], pull_progress.RejectedImports(known, now), after=None)
        assert store.find_rejected(walk, ids) == set(now)


def test_a_session_that_is_deleted_here_can_be_deleted_there(
    firestore: Emulator, tmp_path: Path
) -> None:
    gone = Shared()
    kept = Shared()
    firestore.put({**gone.documents, **kept.documents})
    pull(tmp_path, firestore)
    assert run_server(tmp_path, "forget", "approve", gone.session).returncode == 0
    late = Shared(session=gone.session)
    firestore.put({late.names[1]: late.stats_document(), late.names[2]: late.invoke_document()})
    said = pull(tmp_path, firestore)
    assert "0 of them are new" in said
    assert "6 are there yet; --delete-forgotten" in said
    assert reader(tmp_path).session_tree(gone.session).stats == []
    assert "Deleted 6 in the project." in pull(tmp_path, firestore, "--delete-forgotten")
    assert firestore.ids("sessions") == {kept.session}
    assert firestore.ids("session_stats") == {kept.stats}
    assert firestore.ids("invokes") == set(kept.invoke_ids)
    assert gone.session.encode() not in (tmp_path / "plaintally.sqlite3").read_bytes()


@needs_google
def test_nothing_is_deleted_that_was_changed_after_it_was_read(google: Emulator) -> None:
    one = Shared()
    other = Shared()
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
def test_a_pull_that_is_killed_goes_on_where_it_was(
    google: Emulator, tmp_path: Path, options: tuple[str, ...]
) -> None:
    """Killed at random moments until one run comes to the end; here the ids are forgotten after
    each."""
    given = counts(PAGE * 12 + 5)
    google.put(given)
    ids = sorted(name.partition("/")[2] for name in given)
    command = [sys.executable, "-m", "plaintally_server", "pull", "--package", "rxinfer", *options]
    killed = here = 0
    while here < len(ids):
        process = subprocess.Popen(
            command, cwd=tmp_path, env={**os.environ, **google.env}, stdout=subprocess.DEVNULL
        )
        with process:
            while process.poll() is None:
                with suppress(OperationalError):  # there is no file, or no table yet
                    if total(tmp_path) > here:
                        time.sleep(random.uniform(0, 0.3))  # noqa: S311
                        process.kill()
                        break
            killed += process.wait() == -signal.SIGKILL
        before = here
        here = total(tmp_path)
        assert here > before
        [*_, walked_to] = ["", *positions(tmp_path)]
        assert here == (ids.index(walked_to) + 1 if walked_to else len(ids))
        left = google.ids("using_rxinfer")
        assert left >= set(ids[here:])
        assert options or left == set(ids)
        forget_ids(tmp_path)
    assert killed >= 2
    for _ in range(2):
        pull(tmp_path, google, *options)
        forget_ids(tmp_path)
        assert total(tmp_path) == len(ids)
    assert google.ids("using_rxinfer") == (set() if options else set(ids))


def positions(folder: Path) -> list[str]:
    """The ids to which unfinished walks have come."""
    with closing(sqlite3.connect(folder / "plaintally.sqlite3")) as connection:
        return [
            one for (one,) in connection.execute("SELECT last_id FROM pulls WHERE last_id <> ''")
        ]


def test_what_cannot_work_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "key.json").write_text("{}")
    (tmp_path / "list.json").write_text("[]")
    (tmp_path / "without/google").mkdir(parents=True)
    (
        tmp_path / "without/google/__init__.py"
    ).touch()  # stands before Google's client, as if that were not installed
    done = run_server(
        tmp_path, "pull", "--project=p", "--package=pkg", env={"PYTHONPATH": f"{tmp_path}/without"}
    )
    told = (
        "plaintally-server: Google's client is missing; pip install "
        "'plaintally-server[firestore]'\n"
    )
    assert (done.returncode, done.stderr) == (1, told)
    for options, code, told in (
        ((), 2, "Missing option '--project'"),
        (("--project", "p/q"), 2, "no slash"),
        (("--project", "p"), 2, "Nothing to collect: name a package"),
        (("--project", "p", "--package", "A b"), 2, "must be a name such as"),
        (
            ("--project", "p", "--package", "pkg", "--credentials", "key.json"),
            1,
            "no key of a service account",
        ),
        (
            ("--project", "p", "--package", "pkg", "--credentials", "list.json"),
            1,
            "it holds no JSON object",
        ),
        (("--project", "p", "--package", "pkg"), 1, "(Your default credentials"),
    ):
        env = {"NO_GCE_CHECK": "true", "HOME": str(tmp_path), "CLOUDSDK_CONFIG": str(tmp_path)}
        done = run_server(tmp_path, "pull", *options, env=env)
        assert done.returncode == code
        assert told in done.stderr
        assert "Traceback" not in done.stderr
