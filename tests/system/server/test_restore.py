"""A restore brings back nothing that was deleted, and is done or not done at every moment."""

import hashlib
import os
import re
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from collectors import run_collector, run_server
from golden import Golden
from plaintally_server.exceptions import StartError
from plaintally_server.store import replace
from plaintally_server.store.lock import Lock
from plaintally_server.store.opening import open_reader
from plaintally_server.store.restore import restore
from plaintally_server.store.sqlite import SQLiteStore
from postgresql import Postgres
from shared import KEY, Shared, forget, share, write_contract

pytestmark = pytest.mark.once

DATABASE = ("--database", "test.sqlite3")
RESTORE = ("restore", "backup.sqlite3", *DATABASE)


@dataclass(frozen=True)
class Disaster:
    """A folder with a database, a backup of it, and the log of what was deleted since."""

    folder: Path
    gone: Shared
    stays: Shared

    @property
    def database(self) -> Path:
        return self.folder / "test.sqlite3"

    def has(self, shared: Shared, name: str = "test.sqlite3") -> bool:
        return open_reader(self.folder / name).session_tree(shared.session).session is not None

    def start_anew(self) -> None:
        """Lose the database, and let the service make an empty one in its place."""
        self.lose()
        SQLiteStore(self.database).close()

    def lose(self) -> None:
        for path in self.folder.glob("test.sqlite3*"):
            path.unlink()


def done(folder: Path, *arguments: str) -> str:
    found = run_server(folder, *arguments)
    assert (found.returncode, found.stderr) == (0, "")
    return found.stdout


def refused(folder: Path, *arguments: str) -> str:
    found = run_server(folder, *arguments)
    assert (found.returncode, found.stdout) == (1, "")
    assert re.fullmatch(r"plaintally-server: .*\n", found.stderr)
    return found.stderr


@pytest.fixture(scope="module")
def _disaster(tmp_path_factory: pytest.TempPathFactory) -> Disaster:
    folder = tmp_path_factory.mktemp("disaster")
    gone = Shared()
    stays = Shared()
    with run_collector(
        folder / "test.sqlite3", f"--contract={write_contract(folder)}", "--rate-limit=0"
    ) as collector:
        share(collector, gone)
        share(collector, stays)
        done(folder, "backup", "earlier.sqlite3", *DATABASE)
        done(folder, "backup", "backup.sqlite3", *DATABASE)
        assert forget(collector, gone.session, KEY).status == 200
        assert collector.post().status == 200
        (folder / "log").write_text(done(folder, "forget", "log", *DATABASE))
    return Disaster(folder, gone, stays)


@pytest.fixture
def disaster(_disaster: Disaster, tmp_path: Path) -> Disaster:
    shutil.copytree(_disaster.folder, tmp_path, dirs_exist_ok=True)
    return Disaster(tmp_path, _disaster.gone, _disaster.stays)


def test_a_new_empty_database_does_not_know_what_was_deleted(disaster: Disaster) -> None:
    disaster.start_anew()
    before = disaster.database.read_bytes()
    message = refused(disaster.folder, *RESTORE)
    assert "--deletions" in message
    assert "--without-deletions" in message
    assert disaster.database.read_bytes() == before
    assert "Deleted again: 1 " in done(disaster.folder, *RESTORE, "--deletions", "log")
    assert not disaster.has(disaster.gone)
    assert disaster.has(disaster.stays)


def test_a_database_that_was_restored_without_its_deletions_does_not_continue_another_backup(
    disaster: Disaster,
) -> None:
    """Nothing in its rows tells that what was deleted after the backup was deleted."""
    disaster.start_anew()
    done(disaster.folder, "restore", "earlier.sqlite3", *DATABASE, "--without-deletions")
    disaster.database.with_name("test.sqlite3.replaced").unlink()
    assert "would come back" in refused(disaster.folder, *RESTORE)
    assert "Deleted again: 1 " in done(disaster.folder, *RESTORE, "--deletions", "log")
    disaster.database.with_name("test.sqlite3.replaced").unlink()
    assert "Deleted again: 1 " in done(disaster.folder, "restore", "earlier.sqlite3", *DATABASE)
    assert not disaster.has(disaster.gone)


def test_a_restored_database_continues_the_backups_that_it_knows_all_deletions_of(
    disaster: Disaster,
) -> None:
    for name in ("backup.sqlite3", "earlier.sqlite3", "backup.sqlite3"):
        assert "Deleted again: 1 " in done(disaster.folder, "restore", name, *DATABASE)
        disaster.database.with_name("test.sqlite3.replaced").unlink()
        assert not disaster.has(disaster.gone)


def test_an_older_file_that_was_put_back_by_hand_does_not_continue_a_newer_backup(
    disaster: Disaster,
) -> None:
    done(disaster.folder, "backup", "newer.sqlite3", *DATABASE)
    message = refused(disaster.folder, "restore", "newer.sqlite3", *DATABASE, "--deletions", "log")
    assert "or was written before that copy" in message
    (disaster.folder / "log").write_text(done(disaster.folder, "forget", "log", *DATABASE))
    shutil.copy(disaster.folder / "backup.sqlite3", disaster.database)
    assert "is older than newer.sqlite3" in refused(
        disaster.folder, "restore", "newer.sqlite3", *DATABASE
    )
    assert "Deleted again: 0 " in done(
        disaster.folder, "restore", "newer.sqlite3", *DATABASE, "--deletions", "log"
    )
    assert not disaster.has(disaster.gone)


def test_an_older_file_is_recognized_if_nothing_was_deleted_between_the_backups(
    disaster: Disaster,
) -> None:
    disaster.lose()
    shutil.copy(disaster.folder / "earlier.sqlite3", disaster.database)
    SQLiteStore(disaster.database).close()
    assert "is older than backup.sqlite3" in refused(disaster.folder, *RESTORE)


def test_what_a_restore_replaced_does_not_continue_a_later_backup(disaster: Disaster) -> None:
    done(disaster.folder, *RESTORE)
    done(disaster.folder, "backup", "later.sqlite3", *DATABASE)
    disaster.database.unlink()
    later = ("restore", "later.sqlite3", *DATABASE)
    assert "rename it to test.sqlite3" in refused(disaster.folder, *later)
    (disaster.folder / "test.sqlite3.replaced").rename(disaster.database)
    assert "is older than later.sqlite3" in refused(disaster.folder, *later)


def test_a_file_of_deletions_that_was_cut_off_is_rejected(disaster: Disaster) -> None:
    lines = (disaster.folder / "log").read_text().splitlines(keepends=True)
    for number in range(1, len(lines)):
        (disaster.folder / "cut").write_text("".join(lines[:number]))
        assert "no complete file of deletions" in refused(
            disaster.folder, *RESTORE, "--deletions", "cut"
        )


def test_a_copy_of_a_database_that_cannot_be_marked_is_made_all_the_same(
    disaster: Disaster,
) -> None:
    (disaster.folder / "alias.sqlite3").hardlink_to(disaster.database)
    assert "could not be marked" in done(disaster.folder, "backup", "copy.sqlite3", *DATABASE)
    assert open_reader(disaster.folder / "copy.sqlite3").total("rxinfer") == 1


def test_a_copy_continues_its_source(disaster: Disaster) -> None:
    done(disaster.folder, "copy", "--from", "test.sqlite3", "--to", "copy.sqlite3")
    assert "Deleted again: 1 " in done(
        disaster.folder, "restore", "backup.sqlite3", "--database", "copy.sqlite3"
    )
    assert not disaster.has(disaster.gone, "copy.sqlite3")


@pytest.mark.parametrize("backup", [("backup.sqlite3",), ()])
def test_the_deletions_of_another_database_are_rejected(
    disaster: Disaster, backup: tuple[str, ...]
) -> None:
    SQLiteStore(disaster.folder / "other.sqlite3").close()
    log = done(disaster.folder, "forget", "log", "--database", "other.sqlite3")
    (disaster.folder / "other").write_text(log)
    command = ("restore", *backup, *DATABASE, "--deletions")
    assert "was not written from" in refused(disaster.folder, *command, "other")
    (disaster.folder / "empty").touch()
    assert "empty is empty; write it with" in refused(disaster.folder, *command, "empty")
    done(disaster.folder, *command, "other", "--without-deletions")


def test_deletions_are_applied_to_no_database_that_is_missing(disaster: Disaster) -> None:
    disaster.lose()
    assert "there is no database" in refused(
        disaster.folder, "restore", *DATABASE, "--deletions", "log"
    )
    assert not list(disaster.folder.glob("test.sqlite3*"))


def test_a_database_of_another_program_is_not_replaced(disaster: Disaster) -> None:
    with closing(sqlite3.connect(disaster.folder / "other")) as connection:
        connection.execute("CREATE TABLE recipes (name TEXT)")
    before = (disaster.folder / "other").read_bytes()
    command = ("restore", "backup.sqlite3", "--database", "other", "--without-deletions")
    assert "other is not a collector's database" in refused(disaster.folder, *command)
    assert (disaster.folder / "other").read_bytes() == before


def test_a_database_that_another_process_reads_stays(disaster: Disaster) -> None:
    with closing(sqlite3.connect(disaster.database)) as reader:
        reader.execute("PRAGMA journal_mode = WAL")
        reader.execute("SELECT count(*) FROM documents").fetchone()
        assert "another process has test.sqlite3 open" in refused(disaster.folder, *RESTORE)
        assert not list(disaster.folder.glob("*.part*"))
        assert not list(disaster.folder.glob("*.replaced*"))
    done(disaster.folder, *RESTORE)


@pytest.mark.parametrize("leftover", ["part", "replaced"])
def test_no_command_makes_a_database_beside_what_a_restore_left(
    disaster: Disaster, leftover: str
) -> None:
    disaster.database.rename(disaster.folder / f"test.sqlite3.{leftover}")
    for path in disaster.folder.glob("test.sqlite3-*"):
        path.unlink()
    commands = {
        "serve": ["--package=a", "--port=0"],
        "migrate": [],
        "contract": ["add", "rxinfer.json"],
        "token": ["create", "me", "--package", "rxinfer"],
        "copy": ["--from", "backup.sqlite3", "--to", "test.sqlite3"],
    }
    for command, options in commands.items():
        database = () if command == "copy" else DATABASE
        assert f"test.sqlite3.{leftover}" in refused(disaster.folder, command, *options, *database)
        assert not disaster.database.exists()
    found = run_server(disaster.folder, "doctor", "--package=a", "--port=0", *DATABASE)
    assert re.search(rf"failed   database .*test\.sqlite3\.{leftover}", found.stdout)
    if leftover == "replaced":
        assert "or rename it to test.sqlite3" in refused(
            disaster.folder, *RESTORE, "--without-deletions"
        )
    else:
        done(disaster.folder, *RESTORE, "--without-deletions")
        assert not list(disaster.folder.glob("*.part*"))


CALLS = "link,linkat,rename,renameat,renameat2,unlink,unlinkat,fsync,fdatasync"


def _leave_log(disaster: Disaster, folder: Path) -> None:
    """Delete the last session as a collector does that is killed then, so that this stands in the
    log alone."""
    with closing(sqlite3.connect(disaster.database)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        hashed = hashlib.sha256(disaster.stays.session.encode()).digest()
        with connection:
            connection.execute(
                "INSERT INTO tombstones (id_hash, buried_at) VALUES (?, ?)", (hashed, 2**52)
            )
            connection.execute("DELETE FROM documents WHERE id = ?", (disaster.stays.session,))
        for path in disaster.folder.glob("test.sqlite3*"):
            shutil.copy(path, folder)
    for path in folder.iterdir():
        path.replace(disaster.folder / path.name)
    assert (disaster.folder / "test.sqlite3-wal").stat().st_size


def _trace(folder: Path, *options: str) -> str:
    """Run the restore under strace, and return the calls in its own folder or of its own files."""
    lost = () if (folder / "test.sqlite3").exists() else ("--without-deletions",)
    command = [sys.executable, "-m", "plaintally_server", *RESTORE, *lost]
    trace = ["strace", "-f", "-y", "-o", "trace", "-e", f"trace={CALLS}", *options]
    subprocess.run([*trace, *command], cwd=folder, check=False, capture_output=True, timeout=60)
    return (folder / "trace").read_text()


@pytest.mark.strace
@pytest.mark.long(keep=1)
@pytest.mark.parametrize("is_lost", [False, True])
def test_a_restore_that_is_killed_leaves_the_old_database_or_the_new_one(
    disaster: Disaster, tmp_path_factory: pytest.TempPathFactory, *, is_lost: bool
) -> None:
    disaster.lose() if is_lost else _leave_log(disaster, tmp_path_factory.mktemp("logged"))
    whole = tmp_path_factory.mktemp("whole")
    shutil.copytree(disaster.folder, whole, dirs_exist_ok=True)
    counts: Counter[str] = Counter()
    moments = []
    on_part = 0
    for kind, about in re.findall(r"^\d+ +(\w+)\((.*)", _trace(whole), re.MULTILINE):
        counts[kind] += 1
        is_on_part = "part" in about and "rename" not in kind
        on_part += is_on_part
        if " = 0" in about and not (is_on_part and on_part % 10):  # those on the part are all alike
            moments.append((kind, counts[kind]))
    kinds = [kind.removesuffix("2").removesuffix("at") for kind, _ in moments]
    assert kinds.count("rename") == 1
    assert kinds.count("link") == int(not is_lost)
    states = set()
    for kind, number in moments:
        killed = tmp_path_factory.mktemp(f"{kind}-{number}")
        shutil.copytree(disaster.folder, killed, dirs_exist_ok=True)
        _trace(killed, "-e", f"inject={kind}:signal=KILL:when={number}")
        states.add(_check_state(Disaster(killed, disaster.gone, disaster.stays), is_lost=is_lost))
    assert states == {"old", "new"}


def _check_state(disaster: Disaster, *, is_lost: bool) -> str:
    """Check what a restore left that was killed: first as a collector finds it, then as the next
    restore does."""
    deleted = () if is_lost else (disaster.gone, disaster.stays)
    old = replace.replaced_by(disaster.database)
    started = disaster.folder / "started"
    started.mkdir()
    for path in disaster.folder.glob("test.sqlite3*"):
        shutil.copy(path, started)
    if old.exists() and disaster.database.samefile(old):
        (started / old.name).unlink()
        (started / old.name).hardlink_to(started / "test.sqlite3")
    if not disaster.database.exists():
        assert is_lost
        if (disaster.folder / "test.sqlite3.part").exists():
            with pytest.raises(StartError, match="restore was interrupted"):
                SQLiteStore(started / "test.sqlite3")
        _restore(disaster, may_lose_deletions=True)
        assert disaster.has(disaster.stays)
        return "old"
    SQLiteStore(started / "test.sqlite3").close()
    assert not list(started.glob("*.part*"))
    found = Disaster(started, disaster.gone, disaster.stays)
    for shared in (disaster.gone, disaster.stays):
        assert found.has(shared) is (shared not in deleted)
    if open_reader(found.database).total("rxinfer"):
        assert not (started / old.name).exists()
        _restore(disaster, may_lose_deletions=False)
        for shared in deleted:
            assert not disaster.has(shared)
        assert not list(disaster.folder.glob("*.part*"))
        return "old"
    assert is_lost or open_reader(started / old.name).total("rxinfer") == 1
    return "new"


def _restore(disaster: Disaster, *, may_lose_deletions: bool) -> None:
    backup = disaster.folder / "backup.sqlite3"
    at = datetime.now(UTC)
    restore(backup, disaster.database, deletions=None, may_lose_deletions=may_lose_deletions, at=at)


@pytest.mark.linux
def test_a_second_name_is_refused(disaster: Disaster) -> None:
    """Each name of a hard link would have a lock and a write-ahead log of its own."""
    (disaster.folder / "alias.sqlite3").hardlink_to(disaster.database)
    for name in ("test.sqlite3", "alias.sqlite3"):
        serve = ("serve", "--package=a", "--port=0", "--database", name)
        assert f"{name} has another name (hard link)" in refused(disaster.folder, *serve)
    found = run_server(disaster.folder, "doctor", "--package=a", "--port=0", *DATABASE)
    assert re.search(r"failed   database .*hard link", found.stdout)


@pytest.mark.linux
def test_a_link_to_a_database_is_that_database(disaster: Disaster) -> None:
    (disaster.folder / "elsewhere").mkdir()
    link = disaster.folder / "elsewhere" / "link.sqlite3"
    link.symlink_to("../test.sqlite3")
    with run_collector(disaster.database):
        serve = ("serve", "--package=rxinfer", "--port=0", "--database", str(link))
        assert "another collector runs on the database" in refused(disaster.folder, *serve)
    with run_collector(link) as collector:
        serve = ("serve", "--package=rxinfer", "--port=0", *DATABASE)
        assert "another collector runs on the database" in refused(disaster.folder, *serve)
        assert collector.post().status == 200
    assert [path.name for path in link.parent.iterdir()] == ["link.sqlite3"]
    done(disaster.folder, "restore", "backup.sqlite3", "--database", str(link))
    assert link.readlink() == Path("../test.sqlite3")
    assert not disaster.has(disaster.gone)
    assert (disaster.folder / "test.sqlite3.replaced").exists()


@pytest.mark.linux
@pytest.mark.parametrize("kind", [stat.S_IFIFO, stat.S_IFCHR])
def test_only_a_regular_file_is_replaced(disaster: Disaster, kind: int) -> None:
    """Root would give the collector's database the name of a device such as `/dev/null`."""
    if kind == stat.S_IFCHR and os.geteuid() != 0:
        pytest.skip("making a device needs root")
    path = disaster.folder / "special"
    os.mknod(path, 0o600 | kind, os.makedev(1, 3))
    before = sorted(disaster.folder.iterdir())
    message = refused(
        disaster.folder, "restore", "backup.sqlite3", "--without-deletions", "--database", "special"
    )
    assert "special is not a regular file" in message
    assert stat.S_IFMT(path.stat().st_mode) == kind
    assert sorted(disaster.folder.iterdir()) == before


@pytest.mark.parametrize("has_database", [False, True])
def test_no_copy_is_prepared_in_the_place_of_its_source(
    disaster: Disaster, golden: Golden, *, has_database: bool
) -> None:
    """A backup that was cut short, or a download, has such a name."""
    source = disaster.folder / "new.part"
    shutil.copy(disaster.folder / "backup.sqlite3", source)
    content = source.read_bytes()
    if has_database:
        shutil.copy(disaster.database, disaster.folder / "new")
    message = refused(
        disaster.folder, "restore", "new.part", "--without-deletions", "--database", "new"
    )
    golden.check("restore.txt", message)
    assert source.read_bytes() == content
    (disaster.folder / "new").unlink(missing_ok=True)
    assert "rename it" in refused(disaster.folder, "backup", "new", "--database", "new.part")
    assert source.read_bytes() == content


@pytest.mark.linux
def test_a_link_that_leads_nowhere(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    found = run_server(tmp_path, "migrate", "--database", "loop")
    assert found.returncode == 2
    assert "leads nowhere" in found.stderr
    (tmp_path / "dangling").symlink_to("made")
    done(tmp_path, "migrate", "--database", "dangling")
    assert (tmp_path / "made").is_file()


def test_the_copy_of_a_database_without_hard_links(
    disaster: Disaster, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "hardlink_to", fail)
    shutil.copy(disaster.folder / "backup.sqlite3", part := replace.part_of(disaster.database))
    before = disaster.database.read_bytes()
    old = replace.put_in_place(part, disaster.database)
    assert old
    assert old.read_bytes() == before
    assert disaster.has(disaster.gone)
    Lock(disaster.database).release()
    assert old.exists()
    assert sorted(path.name for path in disaster.folder.glob("*.part")) == []


@pytest.mark.postgres
def test_the_deletions_of_another_database_are_rejected_on_postgresql(
    disaster: Disaster, postgres: Postgres
) -> None:
    database = ("--database", postgres.new())
    done(disaster.folder, "migrate", *database)
    command = ("restore", *database, "--deletions", "log")
    assert "was not written from" in refused(disaster.folder, *command)
    database = ("--database", postgres.new())
    done(disaster.folder, "copy", "--from", "backup.sqlite3", "--to", database[1])
    assert "Deleted again: 1 " in done(disaster.folder, "restore", *database, "--deletions", "log")
    assert "Deleted again: 0 " in done(disaster.folder, "restore", *database, "--deletions", "log")
