"""The times of a session that leave: moved back by one amount, so that it begins at its full
hour."""

from datetime import UTC, datetime, timedelta

import pytest

from loopback import loopback
from plaintally import Telemetry
from plaintally.contract import (
    Contract,
    Label,
)
from plaintally.session import Session, SessionInvoke

pytestmark = pytest.mark.usefixtures("as_a_person")
CONTRACT = Contract(labels={"fit": Label(), "plot": Label()})
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


def test_a_preview_shows_the_times_that_are_sent() -> None:
    with loopback() as server:
        telemetry = Telemetry("pkg", endpoint=server.endpoint, contract=CONTRACT)
        session = make()
        preview = telemetry.preview(session)
        assert telemetry.share(session, show_progress=False).complete
        sent = b"".join(server.requests)
    assert sent == preview.content
    assert b'"2026-11-30T14:00:00Z"' in sent
    for text in (sent.decode(), str(preview)):
        assert "14:38" not in text
        assert "27.1" not in text
