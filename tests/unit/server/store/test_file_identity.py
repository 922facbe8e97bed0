"""What happens if the file of a running collector is removed, moved or replaced."""

import asyncio
from pathlib import Path

import pytest

from plaintally_server.auth.permissions import Access
from plaintally_server.exceptions import CommandError, Refusal, StartError
from plaintally_server.firestore.documents import Precondition
from plaintally_server.firestore.field_paths import Fields
from plaintally_server.ingest.admission import Policy
from plaintally_server.model import Admitted, Write
from plaintally_server.store import schema
from plaintally_server.store.maintenance import Maintenance
from plaintally_server.store.opening import open_reader
from plaintally_server.store.sqlite import SQLiteStore
from stores import NOW, codes, make_import, make_write, write_all

pytestmark = [pytest.mark.once, pytest.mark.linux]  # Windows removes and renames no open file


@pytest.mark.parametrize("erases", [False, True])
def test_what_is_committed_into_a_file_that_is_gone_is_not_acknowledged(
    tmp_path: Path, *, erases: bool
) -> None:
    """The file goes while the transaction is open, after it was last looked for."""
    store = SQLiteStore(tmp_path / "a.sqlite3")

    class Moving(Access):
        def sees(self, collection: str, fields: Fields) -> bool:  # noqa: ARG002
            store.path.rename(tmp_path / "moved")
            return True

    first = make_write("a")
    assert codes(asyncio.run(write_all(store, [first]))) == [200]
    content = None if erases else Admitted({"id": "a"}, "")
    write = Write(first.name, Precondition(), content, NOW, by=Moving(None, Policy({})))
    answers = asyncio.run(write_all(store, [write]))
    assert codes(answers) == [503]
    assert codes(asyncio.run(write_all(store, [make_write("b")]))) == [503]
    (tmp_path / "moved").rename(store.path)
    assert codes(asyncio.run(write_all(store, [make_write("b")]))) == [200]
    store.close()


def test_readers_make_no_file(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="unable to open database file"):
        open_reader(tmp_path / "missing.sqlite3").packages()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a?mode=memory.db", "a#b.db", "50%20.db", "ü ☃.db", "a&b=c.db"])
def test_a_path_may_have_any_characters(tmp_path: Path, name: str) -> None:
    store = SQLiteStore(tmp_path / name)
    assert codes(asyncio.run(write_all(store, [make_import("a")]))) == [200]
    store.close()
    assert {path.name for path in tmp_path.iterdir()} == {name, f"{name}-lock"}
    assert Maintenance(tmp_path / name).total("rxinfer") == 1


def test_a_command_that_needs_a_database_makes_none(tmp_path: Path) -> None:
    """Neither does one whose file goes after it was looked for."""
    with pytest.raises(StartError):
        Maintenance(tmp_path / "missing.sqlite3", may_create=False)
    store = Maintenance(tmp_path / "there.sqlite3")
    (tmp_path / "there.sqlite3").unlink()
    with pytest.raises(CommandError):
        store.revoke_token("a", actor="a", at=NOW)
    assert list(tmp_path.glob("*.sqlite3")) == []


def test_a_reader_refuses_while_the_file_is_away(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "a.sqlite3")
    store.path.rename(tmp_path / "moved")
    schema.migrate(store.path)
    with pytest.raises(Refusal) as refused:
        store.packages()
    assert refused.value.code == 503
    store.close()
