"""What a collector answers, however wrong: a reason in the result of `share`, a `SharingError` from
`forget`."""

import json
import re
import warnings
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from loopback import OK, Loopback, answer, confirm, error, loopback
from plaintally import Telemetry, sharing
from plaintally._spawn import parse_endpoint
from plaintally._transport import http, proxies, retry, sender
from plaintally.contract import Contract, Flag, Label
from plaintally.exceptions import SharingError
from plaintally.session import Session

pytestmark = pytest.mark.usefixtures("as_a_person")
ID = "9eb898b5-76a4-49b0-b1b6-ba209ba39adf"
CONTRACT = Contract(labels={"fit": Label({"fast": Flag()})})
RECEIPT = {
    "session": ID,
    "deleted_at": "2026-11-23T20:15:30.123456Z",
    "documents": 3,
    "hash": "0" * 64,
}
BAD = {
    "a deep list": answer(200, body=b"[" * 60_000),
    "a deep object": answer(200, body=b'{"a":' * 60_000),
    "a deep error": answer(400, body=b'{"error":' * 60_000),
    "a long length": b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n{}",
    "no length": b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "a length too far": b"HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\n{}",
    "a head without an end": b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 5000,
    "a head cut short": b"HTTP/1.1 200 OK\r\nContent-Le",
    "another coding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n{}",
    "status 0": b"HTTP/1.1 000 OK\r\nContent-Length: 2\r\n\r\n{}",
    "status 100": b"HTTP/1.1 100 Continue\r\n\r\n",
    "status 2000": b"HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\n{}",
    "chunks cut short": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
    "a chunk without an end": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}xx0\r\n\r\n"
    ),
    "a huge chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    + b"f" * 5000
    + b"\r\n{}\r\n0\r\n\r\n",
    "a page": answer(200, body=b"<html>Log in to this network</html>"),
    "a list": answer(200, body=b"[]"),
    "nothing": answer(200, body=b""),
    "no text": answer(200, body=b"\xff\xfe{\x00}\x00"),
    "a long number": answer(200, body=b"9" * 5000),
}
RECEIPTS = {
    "no object": [],
    "a number too large": {**RECEIPT, "documents": float("inf")},
    "a number in words": {**RECEIPT, "documents": "3"},
    "less than nothing": {**RECEIPT, "documents": -1},
    "a time that is none": {**RECEIPT, "deleted_at": "\x1b]0;title\x07"},
    "a hash that is none": {**RECEIPT, "hash": "0" * 63 + "\n"},
    "another session": {**RECEIPT, "session": "9eb898b5-76a4-49b0-b1b6-ba209ba39ade"},
    "nothing": {},
}


@pytest.fixture(scope="module")
def server() -> Iterator[Loopback]:
    with loopback() as running:
        yield running


@pytest.fixture
def telemetry(server: Loopback, monkeypatch: pytest.MonkeyPatch) -> Telemetry:
    monkeypatch.setattr(retry.SHARING, "pauses_s", ())  # one try
    made = Telemetry("answerspkg", endpoint=server.endpoint, contract=CONTRACT)
    made.set_session(Session("answerspkg", contract=CONTRACT))
    return made


def fails(server: Loopback, telemetry: Telemetry, raw: bytes) -> str:
    """The reason that both give for an answer."""
    server.answers[:] = [raw]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        result = telemetry.share(show_progress=False)
    assert result.shared == {}
    assert result.reason
    with pytest.raises(SharingError):
        telemetry.forget(ID, "the key")
    return result.reason


@pytest.mark.parametrize("name", BAD)
def test_a_bad_answer_is_a_reason(server: Loopback, telemetry: Telemetry, name: str) -> None:
    assert fails(server, telemetry, BAD[name]).isprintable()


@pytest.mark.parametrize("name", RECEIPTS)
def test_a_bad_receipt_is_an_error(server: Loopback, telemetry: Telemetry, name: str) -> None:
    body = json.dumps({"receipt": RECEIPTS[name]}).replace("Infinity", "1e400").encode()
    server.answers[:] = [answer(200, body=body)]
    with pytest.raises(SharingError, match="no receipt"):
        telemetry.forget(ID, "the key")


def test_good_answers(server: Loopback, telemetry: Telemetry) -> None:
    server.answers[:] = [OK]
    assert telemetry.share(show_progress=False).complete
    body = confirm(server.requests[-1])
    for raw in (
        b"HTTP/1.1 200 OK\r\n\r\n" + body,
        b"HTTP/1.0 200 \r\ncontent-length:%d\r\nContent-Length: %d\r\n\r\n%band more"
        % (len(body), len(body), body),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: "
        b"Chunked\r\n\r\n1;x=y\r\n{\r\n0%x\r\n%b\r\n0\r\nTrailer: x\r\n\r\n"
        % (len(body) - 1, body[1:]),
    ):
        server.answers[:] = [raw]
        assert telemetry.share(show_progress=False).complete
    server.answers[:] = [answer(200, body=json.dumps({"receipt": RECEIPT}).encode())]
    assert telemetry.forget(ID, "the key").documents == 3
    waiting = {"request": {"session": ID, "state": "waiting"}}
    server.answers[:] = [answer(200, body=json.dumps(waiting).encode())]
    assert telemetry.forget(ID).state == "waiting"


PORTALS = {
    "a page": answer(200, "Content-Type: text/html", body=b"<html>Log in to this network</html>"),
    "an object": answer(
        200, body=b'{"captive": true, "user-portal-url": "https://portal.example"}'
    ),
    "an empty object": answer(200),
    "what was sent": answer(200, body=b'{"writes": [], "fields": {}, "url": "/sessions/9eb898b5"}'),
    "fewer results": answer(200, body=b'{"writeResults": []}'),
    "another document": answer(
        200, body=b'{"name": "projects/p/databases/d/documents/sessions/other"}'
    ),
    "a list": answer(200, body=b"[{}]"),
    "no content": answer(204, body=b""),
    "created": answer(201, body=b"{}"),
    "elsewhere": answer(302, "Location: http://portal.example/", body=b"<html></html>"),
    "log in first": answer(511, body=b"<html>Log in</html>"),
    "forbidden": answer(403, body=b"<html>Blocked</html>"),
    "exists": answer(409, body=b'{"error": "no"}'),
    "another error": answer(403, body=b'{"error": {"message": "Log in", "code": 200}}'),
    "an error with status 200": answer(
        200, body=b'{"error": {"message": "Log in", "code": 200, "status": "OK"}}'
    ),
}


@pytest.mark.parametrize("name", PORTALS)
def test_nobody_but_a_collector_is_thanked(
    server: Loopback, telemetry: Telemetry, name: str
) -> None:
    """The first answer is to a commit, the others are to single documents where they are tried."""
    server.requests.clear()
    reason = fails(server, telemetry, PORTALS[name])
    assert "log in" in reason


def test_a_portal_that_comes_up_midway_is_sent_nothing_more(
    server: Loopback, telemetry: Telemetry
) -> None:
    session = telemetry.session
    assert session is not None
    for _ in range(600):
        with telemetry.invoke("fit"):
            pass
    server.requests.clear()
    server.answers[:] = [OK, PORTALS["a page"]]
    result = telemetry.share(show_progress=False)
    session.reset()
    assert len(server.requests) == 2
    assert (result.shared, result.complete) == ({"sessions": 1, "session_stats": 1}, False)
    assert session.deletion_key in str(result)


def test_a_filter_that_blocks_one_document_keeps_no_other_back(
    server: Loopback, telemetry: Telemetry
) -> None:
    session = telemetry.session
    assert session is not None
    for _ in range(3):
        with telemetry.invoke("fit"):
            pass
    server.requests.clear()
    blocked = PORTALS["forbidden"]
    server.answers[:] = [OK, blocked, OK, blocked, OK]
    result = telemetry.share(show_progress=False)
    session.reset()
    assert (result.shared["invokes"], result.failed) == (2, {"invokes": 1})


TARGET = f"/v1/projects/p/databases/(default)/documents/using_pkg?documentId={ID}"
BODY = b'{"fields":{"id":{"stringValue":"%b"}}}' % ID.encode()


def is_delivered(server: Loopback, raw: bytes) -> bool:
    server.requests.clear()
    server.answers[:] = [raw]
    client = http.Client(retry.IMPORT, in_thread=False)
    delivered = sender.deliver(f"http 127.0.0.1 {server.port} {TARGET} ".encode() + BODY, client)
    # No network lets its users in within the budget.
    assert len(server.requests) == (3 if b" 511 " in raw else 1)
    return delivered


def test_a_count_is_delivered_to_a_collector(server: Loopback) -> None:
    assert is_delivered(server, OK)
    assert is_delivered(server, error(409, "It is there already.", "ALREADY_EXISTS"))


@pytest.mark.parametrize(
    "raw",
    [
        *PORTALS.values(),
        answer(200, body=BODY),
        answer(200, body=json.dumps({"url": TARGET}).encode()),
        answer(200, body=f'<html>{TARGET.replace("?documentId=", "/")}"</html>'.encode()),
        error(409, "The document was changed.", "ABORTED"),
        b"HTTP/1.1 200 OK\r\n\r\n",
    ],
)
def test_a_count_is_not_delivered_to_anything_else(server: Loopback, raw: bytes) -> None:
    assert not is_delivered(server, raw)


def test_a_reason_of_the_collectors_is_made_printable(
    server: Loopback, telemetry: Telemetry
) -> None:
    reason = fails(server, telemetry, error(403, "no\x1b]52;c;eA==\x07 \u202esuch\n thing."))
    assert reason == r"no\x1b]52;c;eA==\x07 \u202esuch\n thing"


CHUNKS = st.lists(
    st.tuples(
        st.sampled_from([b"2", b"0", b"ffffffffffff", b"-1", b"x"]), st.sampled_from([b"{}", b""])
    )
)
HEADERS = st.lists(
    st.one_of(
        st.sampled_from(
            [
                b"Content-Length: 2",
                b"Transfer-Encoding: chunked",
                b"Retry-After: 9",
                b"Content-Length: 1e3",
            ]
        ),
        st.binary(max_size=12),
    ),
    max_size=4,
).map(b"\r\n".join)
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                [
                    "receipt",
                    "error",
                    "message",
                    "documents",
                    "hash",
                    "deleted_at",
                    "session",
                    "request",
                ]
            ),
            inner,
        ),
    ),
)
BODIES = st.one_of(
    st.binary(max_size=20),
    JSON.map(lambda value: json.dumps(value).encode()),
    CHUNKS.map(lambda drawn: b"".join(size + b"\r\n" + data + b"\r\n" for size, data in drawn)),
)
ANSWERS = st.builds(
    lambda line, headers, body: line + b"\r\n" + headers + b"\r\n\r\n" + body,
    st.one_of(
        st.sampled_from([b"HTTP/1.1 200 OK", b"HTTP/1.1 403 No", b"HTTP/1.1 429 Wait"]),
        st.binary(max_size=16),
    ),
    HEADERS,
    BODIES,
)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(ANSWERS)
@example(b"HTTP/1.1 429 Wait\r\nRetry-After: " + b"9" * 5000 + b"\r\n\r\n")
def test_no_answer_raises_anything_else(server: Loopback, telemetry: Telemetry, raw: bytes) -> None:
    server.answers[:] = [raw]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        result = telemetry.share(show_progress=False)
    assert result.complete or (result.reason and result.reason.isprintable())
    try:
        receipt = telemetry.forget(ID, "the key")
    except SharingError:
        return
    assert str(receipt).replace("\n", "").isprintable()


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("socks5h://127.0.0.1:9", "NO_PROXY"),
        ("http://u:secret/b@127.0.0.1:9", "%2F"),
        ("http://u:secret://b@127.0.0.1:9", "%2F"),
        ("http://127.0.0.1: 80", "from 1 to 65535"),
        ("http://127.0.0.1:70000", "from 1 to 65535"),
        ("http://127.0.0.1:0", "from 1 to 65535"),
        ("HTTP://127.0.0.1:9", "Connection refused"),
        ("127.0.0.1:9", "Connection refused"),
    ],
)
def test_the_fault_of_a_proxy_is_named(
    telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch, url: str, reason: str
) -> None:
    monkeypatch.setattr(proxies, "find_url", lambda *_: url)
    monkeypatch.setattr(retry.SHARING, "pauses_s", ())
    with pytest.raises(SharingError, match=re.escape(reason)) as failure:
        telemetry.forget(ID, "the key")
    assert "secret" not in str(failure.value)


def test_a_silent_server_is_named_by_how_long_it_was_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(retry.SHARING, "try_s", 1.0)
    with (
        loopback(held=True) as there,
        pytest.raises(SharingError, match="no answer within 1 seconds"),
    ):
        sharing.forget(ID, "the key", parse_endpoint(there.endpoint))


@pytest.mark.parametrize(
    "url",
    [
        "http://a:70000",
        "http://a:" + "9" * 5000,
        "http://" + "a" * 70,
        "http://%zz@a:1",
        "http://.:1",
    ],
)
def test_a_proxy_that_is_none_is_a_reason(
    telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setattr(proxies, "find_url", lambda *_: url)
    with pytest.raises(SharingError):
        telemetry.forget(ID, "the key")
