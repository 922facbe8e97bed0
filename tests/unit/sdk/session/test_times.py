"""The times of a session that leave: moved back by one amount, so that it begins at its full
hour."""

import json
import marshal
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaintally import Telemetry
from plaintally._spawn import Endpoint, parse_endpoint
from plaintally.contract import (
    Choice,
    Contract,
    Description,
    ErrorType,
    Flag,
    Integer,
    Label,
    Name,
    Real,
    Source,
)
from plaintally.session import Session, SessionInvoke
from plaintally.sharing import documents, relay
from plaintally.sharing.automatic import encode, header
from plaintally_server.firestore.values import from_document
from read_back import read_session

pd: Any = import_module("pandas")
pytestmark = pytest.mark.usefixtures("as_a_person")
CONTRACT = Contract(labels={"fit": Label(), "plot": Label()})
ENDPOINT: Endpoint = parse_endpoint(
    "http://127.0.0.1:9/v1/projects/p/databases/(default)/documents"
)
HOUR = timedelta(hours=1)
BEGAN = datetime(2026, 11, 30, 14, 38, 27, 123456, tzinfo=UTC)
# Seconds after, lasted.
RUNS = (
    (0.25, 1.5),
    (3600.000001, 0.0),
    (3 * 3600 + 59.5, 7200.123456),
    (40_000.0, 90_000.0),
)


def make(began: datetime = BEGAN, runs: tuple[tuple[float, float], ...] = RUNS) -> Session:
    session = Session("pkg", contract=CONTRACT, created_at_ns=nanoseconds(began))
    for index, (after_s, lasted_s) in enumerate(runs):
        invoke = session.invoke(("fit", "plot")[index % 2])
        assert isinstance(invoke, SessionInvoke)
        invoke.__enter__()
        invoke.__exit__(None, None, None)
        invoke._start_ns = nanoseconds(began + timedelta(seconds=after_s))
        invoke._elapsed_ns = round(lasted_s * 1e6) * 1000
    session.drain()
    return session


def nanoseconds(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000


def real_times(session: Session) -> list[datetime]:
    """The session's beginning, and then the beginnings and ends of its runs."""
    found = [session.created_at]
    for label in session.labels:
        for invoke in session.stats(label).invokes:
            assert invoke.execution_end is not None
            found += [invoke.execution_start, invoke.execution_end]
    return found


def sent_times(fields: Iterator[Mapping[str, Any]]) -> list[datetime]:
    """The same out of documents."""
    found = []
    for one in fields:
        values = from_document({"fields": one})
        found += [
            values[name]
            for name in ("created_at", "execution_start", "execution_end")
            if name in values
        ]
    return found


def previewed(session: Session) -> list[datetime]:
    telemetry = Telemetry("pkg", endpoint=str(ENDPOINT), contract=CONTRACT)
    return sent_times(document.fields for document in telemetry.preview(session).documents)


def relayed(session: Session) -> list[datetime]:
    """What the other side of automatic sharing makes of each run."""
    batch = relay.Batch(0, *marshal.loads(header(session, ENDPOINT)))  # noqa: S302  # the SDK wrote it
    for label in session.labels:
        stats = session.stats(label)
        for invoke in stats.invokes:
            batch.add(*marshal.loads(encode(invoke, stats)))  # noqa: S302
    return sent_times(
        document.fields for document in (*batch.parents.values(), *batch.waiting.values())
    )


def distances(times: list[datetime]) -> list[timedelta]:
    return [later - earlier for earlier, later in pairwise(times)]


@pytest.mark.parametrize("leave", [previewed, relayed])
def test_a_session_begins_at_its_full_hour_and_keeps_every_distance(leave: Any) -> None:  # noqa: ANN401
    session = make()
    sent = leave(session)
    assert sent[0] == datetime(2026, 11, 30, 14, tzinfo=UTC)
    assert distances(sent) == distances(real_times(session))
    assert real_times(session)[0] == BEGAN  # the log keeps the real times


@given(
    began=st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1)).map(  # noqa: DTZ001
        lambda found: found.replace(tzinfo=UTC)
    ),
    runs=st.lists(
        st.tuples(st.floats(-3600, 1e6), st.floats(0, 1e6)).map(
            lambda found: (round(found[0], 6), round(found[1], 6))
        ),
        max_size=4,
    ).map(tuple),
)
def test_one_offset_for_all_that_leaves(
    began: datetime, runs: tuple[tuple[float, float], ...]
) -> None:
    """Also where a clock was set back, and a run seems to have begun before its session."""
    session = make(began, runs)
    sent = previewed(session)
    real = real_times(session)
    [offset] = {before - after for before, after in zip(real, sent, strict=True)}
    assert timedelta(0) <= offset < HOUR
    assert sent[0] == began.replace(minute=0, second=0, microsecond=0)
    assert relayed(session) == sent


def test_the_offset_is_the_same_at_any_time_and_from_a_file(tmp_path: Path) -> None:
    session = make()
    before = previewed(session)
    path = tmp_path / "session.json"
    session.save(path)
    assert datetime.fromisoformat(json.loads(path.read_text())["created_at"]) == BEGAN
    loaded = Session.load(path)
    assert real_times(loaded) == real_times(session)
    assert previewed(loaded) == relayed(loaded) == before
    more = session.invoke("fit")
    with more:
        pass
    assert set(before) < set(previewed(session))


def test_a_session_that_was_shared_is_not_moved_again() -> None:
    sent = documents.session(make())
    again = documents.session(read_session(sent))
    assert again["fields"]["created_at"] == sent["fields"]["created_at"]


@pytest.mark.parametrize(
    "moment",
    [
        BEGAN,
        BEGAN.date(),
        time(14, 38, 27, 123456),
        timedelta(seconds=2307),
        date(2026, 11, 30),
        np.datetime64("2026-11-30T14:38:27"),
        np.timedelta64(2307, "s"),
        pd.Timestamp(BEGAN),
        pd.DatetimeIndex([BEGAN]),
        pd.Series([BEGAN]),
        pd.Period("2026-11-30 14:38", "min"),
        np.array(["2026-11-30T14:38:27"], "datetime64[s]"),
    ],
    ids=lambda moment: type(moment).__name__,
)
def test_no_field_takes_the_time_that_a_value_holds(moment: object) -> None:
    fields = {
        "flag": Flag(), "integer": Integer(-(2**62), 2**62), "real": Real(-1e300, 1e300),
        "choice": Choice("a"), "name": Name(r"[^/]*"), "data": Description(names=["y"]),
        "error": ErrorType(), "source": Source(),
    }  # fmt: skip
    session = Session("pkg", contract=Contract(labels={"fit": Label(fields)}))
    with session.invoke("fit") as invoke:
        invoke.add(**dict.fromkeys(fields, moment))
        invoke.add(data={"y": moment})
    [found] = session.stats("fit").invokes
    assert set(found.context) == {"data"}
    assert not {"30", "14", "38", "27", "2307"} & set(
        json.dumps(found.context).replace('"', " ").split()
    )
    assert "2026" not in json.dumps(found.context)
