"""What a maintainer's commands do, on a file and on a server alike."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from plaintally_server.exceptions import CommandError, Refusal
from plaintally_server.firestore.documents import Name, Precondition, Stored
from plaintally_server.ingest.collections import INVOKES, SESSIONS, STATS
from plaintally_server.ingest.deletion_requests import hash_text
from plaintally_server.model import Admitted, Import, Write
from plaintally_server.store.batch import Forgotten
from plaintally_server.store.maintenance import Maintenance
from stores import NOW, make_import, make_write

LONG_AGO = NOW - timedelta(days=500)


@pytest.fixture(params=["file", pytest.param("server", marks=pytest.mark.postgres)])
def maintenance(request: pytest.FixtureRequest) -> Iterator[Maintenance]:
    if request.param == "file":
        yield Maintenance(request.getfixturevalue("tmp_path") / "a.sqlite3")
    else:
        yield Maintenance(request.getfixturevalue("postgres").new_store())


def shared(collection: str, document: str, parent: str | None = None) -> Write:
    fields = {
        "id": document,
        "label": "a",
        "execution_start": NOW,
        "deletion_key_hash": hash_text("key").hex(),
    }
    admitted = Admitted(fields, "rxinfer", parent=parent)
    return Write(Name("p", "(default)", collection, document), Precondition(), admitted, LONG_AGO)


def take(
    maintenance: Maintenance, writes: Sequence[Write | Import], *, after: str | None = "z"
) -> Sequence[Stored | Refusal | None]:
    """What came of a page of a walk through a project."""
    walk = maintenance.begin_walk("project", "sessions", NOW)
    return maintenance.take_page(walk, writes, after=after).answers


def test_what_a_project_had_is_taken_each_for_itself(maintenance: Maintenance) -> None:
    writes = [make_write(name, at=LONG_AGO) for name in ("a", "b\x00", "a")]
    first, second, third, counted = take(
        maintenance, [*writes, make_import("a", at=LONG_AGO)], after="b\x00"
    )
    assert not isinstance(first, Refusal)
    assert not isinstance(second, Refusal)
    assert isinstance(third, Refusal)
    assert third.code == 409
    assert maintenance.get(writes[1].name) == second
    assert not isinstance(counted, Refusal)
    assert maintenance.daily_counts("rxinfer", LONG_AGO.date(), NOW.date()) == [
        (LONG_AGO.date(), 1)
    ]
    with pytest.raises(ZeroDivisionError):
        take(maintenance, [make_write("c", settle=lambda _: 1 // 0)])  # type: ignore[arg-type, return-value]
    walk = maintenance.unfinished_walk("project", "sessions")
    assert walk is not None
    assert walk.after == "b\x00"  # a page that fails does not move the walk
    take(maintenance, [], after=None)
    assert maintenance.unfinished_walk("project", "sessions") is None


def test_a_session_is_deleted_with_all_below_it_and_stays_away(maintenance: Maintenance) -> None:
    session, stats, late, invoke, early = (str(uuid4()) for _ in range(5))
    tree = [
        shared(SESSIONS, session),
        shared(STATS, stats, session),
        shared(INVOKES, invoke, stats),
    ]
    take(maintenance, [*tree, shared(INVOKES, early, late)])
    receipt = maintenance.approve(session, at=NOW, salt=b"salt", actor="somebody")
    assert receipt.documents == 3
    assert (
        maintenance.approve(session, at=datetime.now(UTC), salt=b"other", actor="somebody")
        == receipt
    )
    assert maintenance.receipt(receipt.hash) == (NOW, 3)
    assert all(
        isinstance(answer, Forgotten)
        for answer in take(maintenance, [*tree, shared(STATS, late, session)])
    )
    assert maintenance.get(Name("", "", INVOKES, early)) is None  # its stats told whose it was
    assert maintenance.forget_requests() == []
    with pytest.raises(CommandError, match="has no deletion request"):
        maintenance.approve(str(uuid4()), at=NOW, salt=b"salt", actor="somebody")
    with pytest.raises(CommandError, match="no request to delete"):
        maintenance.refuse(session, actor="somebody", at=NOW)
    assert maintenance.receipt("0") is None


def test_a_contract_takes_the_place_of_an_earlier_one(maintenance: Maintenance) -> None:
    for content in (b"one", b"two"):
        maintenance.add_contract("rxinfer", content, at=NOW)
    maintenance.add_contract("another", b"three", at=LONG_AGO)
    assert maintenance.contracts() == [("another", b"three", LONG_AGO), ("rxinfer", b"two", NOW)]
