"""Sharing: the bytes that were previewed are the bytes that arrive, in batches, with every kind of
answer."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from loopback import Loopback, loopback
from plaintally import Telemetry
from plaintally.contract import Choice, Contract, ErrorType, Integer, Label, Source
from plaintally.exceptions import DocumentError, SharingError
from plaintally.session import Session
from plaintally.sharing import documents

pytestmark = pytest.mark.usefixtures("as_a_person")
CONTRACT = Contract(
    labels={
        "fit": Label(
            {
                "solver": Choice("exact"),
                "steps": Integer(0, 10**6),
                "model": Source(),
                "error": ErrorType(),
            }
        )
    }
)


@pytest.fixture
def server() -> Iterator[Loopback]:
    with loopback() as running:
        yield running


def make(server: Loopback | None, invokes: int = 3, **settings: Any) -> Telemetry:  # noqa: ANN401
    endpoint = server.endpoint if server else None
    telemetry = Telemetry("pkg", version="1.0", endpoint=endpoint, contract=CONTRACT, **settings)
    telemetry.set_session(telemetry.create_session())
    for index in range(invokes):
        with telemetry.invoke("fit") as invoke:
            invoke.add(solver="exact", steps=index, model="the source")
    return telemetry


def session_of(telemetry: Telemetry) -> Session:
    assert telemetry.session is not None
    return telemetry.session


def test_an_empty_label_has_no_infinite_durations() -> None:
    stats = Session("pkg", contract=CONTRACT).stats("fit")
    fields = documents.session_stats(stats, "an id")["fields"]
    assert [fields[f"{name}_duration_ms"]["doubleValue"] for name in ("min", "max", "total")] == [
        0.0,
        0.0,
        0.0,
    ]


def test_without_an_endpoint_or_a_session_nothing_is_sent_and_the_result_says_why() -> None:
    telemetry = make(None)
    with pytest.warns(RuntimeWarning, match="there is no endpoint"):
        result = telemetry.share()
    assert result.reason == "there is no endpoint to share it with"
    telemetry.set_session(None)
    with pytest.warns(RuntimeWarning, match="pkg keeps no session"):
        assert telemetry.share().session_id is None
    with pytest.raises(SharingError, match="enable_session_logging"):
        telemetry.preview()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"format": 2}',
        b'{"format": 1}',
        b"[" * 100_000,
        b'{"format":1,"package":3}',
        b"\xff",
    ],
)
def test_a_file_that_is_no_session_is_refused_in_a_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "session.json"
    path.write_bytes(content)
    with pytest.raises(DocumentError, match=r"saved session"):
        Session.load(path)


@pytest.mark.parametrize(
    ("field", "value"), [("duration_ms", 9e14), ("execution_start", "0001-01-01T00:10:00+00:00")]
)
def test_a_saved_time_that_cannot_be_shared_is_refused(field: str, value: object) -> None:
    data = session_of(make(None)).to_dict()
    data["created_at"] = "2026-11-30T14:30:00+00:00"
    data["labels"]["fit"]["invokes"][0][field] = value
    with pytest.raises(DocumentError, match="date value out of range"):
        Session.from_dict(data)


def test_a_no_to_one_host_is_none_to_another() -> None:
    one = Telemetry("one", contract=CONTRACT)
    other = Telemetry("other", contract=CONTRACT)
    one._explicit["session_log"] = False
    with one.invoke("fit"), other.invoke("fit"):
        pass
    assert one.session is None
    assert other.session is not None
    assert other.session.stats("fit").total_invokes == 1


def test_if_the_host_has_made_warnings_errors_the_result_is_returned() -> None:
    """As this suite has."""
    assert make(None).share(show_progress=False).reason == "there is no endpoint to share it with"
