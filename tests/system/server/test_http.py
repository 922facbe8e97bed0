"""HTTP as it comes over a socket: broken, slow, endless, twofold or abandoned; each answer is
Google's error body."""

import asyncio
import gzip
import json
import os
import re
import socket
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.types import Receive, Scope, Send

from collectors import OPEN_COLLECTOR, ROOT, TOKEN, Answer, Collector, count, run_collector
from plaintally_server.http.cycle import Exchange
from plaintally_server.http.request_head import Head, Limits
from programs import program
from waiting import PATIENCE_S

USING = f"{ROOT}/using_rxinfer"
HASTY = Limits(
    head_s=0.6, body_s=0.6, request_s=1.2, idle_s=0.6, linger_s=0.3, check_s=0.1, connections=30
)
SCRIPT = program("http_script")


@pytest.fixture(scope="session")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    """One collector for all that is wrong; it lives to the end, and has nothing to say."""
    database = tmp_path_factory.mktemp("http") / "test.sqlite3"
    with run_collector(database, "--rate-limit=0", module=OPEN_COLLECTOR) as running:
        yield running
        assert running.request("POST", f"{OPEN}?documentId=last", {}).status == 200
        assert running.request("GET", f"{OPEN}/smuggled").status == 404
        running.process.terminate()
        assert running.process.stdout
        assert running.process.stdout.read() == ""


@pytest.fixture(scope="session")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a collector that waits for nobody."""
    database = tmp_path_factory.mktemp("hasty") / "test.sqlite3"
    command = [sys.executable, "-c", SCRIPT, str(database), *map(str, HASTY)]
    env = {**os.environ, "PYTHONPATH": str(Path(OPEN_COLLECTOR[0]).parent)}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env
    ) as process:
        assert process.stdout
        yield int(process.stdout.readline().rpartition(":")[2].strip("/\n"))
        process.terminate()
        assert process.stdout.read() == ""


class Client:
    """A connection on which anything may be sent."""

    opened: ClassVar[list["Client"]] = []

    def __init__(self, port: int, source: str = "127.0.0.1") -> None:
        self.opened.append(self)
        self.socket = socket.create_connection(
            ("127.0.0.1", port), timeout=PATIENCE_S, source_address=(source, 0)
        )
        self.seen = b""

    def send(self, *pieces: bytes | str) -> "Client":
        for piece in pieces:
            self.socket.sendall(piece if isinstance(piece, bytes) else piece.encode("latin-1"))
        return self

    def drip(self, content: bytes | str, every_s: float) -> "Client":
        """Send a byte at a time, until the other end has had enough."""
        with suppress(ConnectionError):
            for byte in content.encode() if isinstance(content, str) else content:
                self.socket.sendall(bytes([byte]))
                time.sleep(every_s)
        return self

    def answers(self) -> list[Answer]:
        """All answers until the other end closes, which it must."""
        with suppress(ConnectionError):
            while received := self.socket.recv(65_536):
                self.seen += received
        self.socket.close()
        found = []
        while self.seen:
            found.append(self.take())
        return found

    def answer(self) -> Answer:
        """The next answer."""
        while b"\r\n\r\n" not in self.seen or not self.is_whole():
            received = self.socket.recv(65_536)
            assert received, self.seen
            self.seen += received
        return self.take()

    def is_whole(self) -> bool:
        head, _, body = self.seen.partition(b"\r\n\r\n")
        length = re.search(rb"\r\ncontent-length: (\d+)", head)
        return not length or len(body) >= int(length[1])

    def take(self) -> Answer:
        head, _, rest = self.seen.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        status = re.fullmatch(r"HTTP/1\.1 ([1-5]\d\d) [A-Za-z -]+", first)
        assert status, self.seen
        headers = dict(line.split(": ", 1) for line in lines)
        length = int(headers.get("content-length", 0))
        assert len(rest) >= length
        self.seen = rest[length:]
        return Answer(int(status[1]), rest[:length], headers)


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    """No connection outlives its test."""
    yield
    while Client.opened:
        Client.opened.pop().socket.close()


HOST = "Host: collector.example\r\n"
JSON = json.dumps(count())
OPEN = f"{ROOT}/cities"
POST = f"POST {OPEN} HTTP/1.1\r\n{HOST}"
CHUNKED = f"{POST}Transfer-Encoding: chunked\r\n"
EMPTY = f"{POST}Content-Length: 2\r\n\r\n{{}}"
GZIP = "Content-Encoding: gzip\r\n"
SMUGGLED = EMPTY.replace("cities", "cities?documentId=smuggled")
LONG = "x" * 20_000

BROKEN = {
    "no HTTP": ("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
    "no method": (f"{USING} HTTP/1.1\r\n{HOST}\r\n", 400),
    "unknown method": (f"FETCH {USING} HTTP/1.1\r\n{HOST}\r\n", 400),
    "method in lower case": (f"get {USING} HTTP/1.1\r\n{HOST}\r\n", 400),
    "HTTP/0.9": ("GET /\r\n\r\n", 400),
    "HTTP/2": ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "HTTP/1.2": (f"GET / HTTP/1.2\r\n{HOST}\r\n", 400),
    "HTTP/3.0": (f"GET / HTTP/3.0\r\n{HOST}\r\n", 400),
    "no version": (f"GET / HTTP\r\n{HOST}\r\n", 400),
    "another protocol": (f"GET / ICE/1.0\r\n{HOST}\r\n", 400),
    "tab": (f"GET\t/ HTTP/1.1\r\n{HOST}\r\n", 400),
    "space in target": (f"GET /a b HTTP/1.1\r\n{HOST}\r\n", 400),
    "NUL in target": (f"GET /a\x00b HTTP/1.1\r\n{HOST}\r\n", 400),
    "raw UTF-8 in target": (f"GET /\xc3\xbc HTTP/1.1\r\n{HOST}\r\n", 400),
    "fragment": (f"GET /a#b HTTP/1.1\r\n{HOST}\r\n", 400),
    "absolute form": (f"GET http://collector.example{USING} HTTP/1.1\r\n{HOST}\r\n", 400),
    "authority form": (f"GET collector.example:80 HTTP/1.1\r\n{HOST}\r\n", 400),
    "asterisk form": (f"OPTIONS * HTTP/1.1\r\n{HOST}\r\n", 400),
    "CONNECT": (f"CONNECT collector.example:80 HTTP/1.1\r\n{HOST}\r\n", 400),
    "CONNECT with a path": (f"CONNECT /v1/x HTTP/1.1\r\n{HOST}\r\n", 400),
    "upgrade": (f"GET / HTTP/1.1\r\n{HOST}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n", 400),
    "upgrade to HTTP/2": (
        f"GET / HTTP/1.1\r\n{HOST}Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n",
        400,
    ),
    "no Host": ("GET / HTTP/1.1\r\n\r\n", 400),
    "two Hosts": (f"GET / HTTP/1.1\r\n{HOST}{HOST}\r\n", 400),
    "bare CR": (f"GET / HTTP/1.1\r\n{HOST}A: b\rC: d\r\n\r\n", 400),
    "bare CR behind the head": (f"GET / HTTP/1.1\r\n{HOST}\rX", 400),
    "bare LF": (f"GET / HTTP/1.1\n{HOST}\n", 400),
    "folded line": (f"GET / HTTP/1.1\r\n{HOST}A: b\r\n c\r\n\r\n", 400),
    "folded first line": (f"GET / HTTP/1.1\r\n A: b\r\n{HOST}\r\n", 400),
    "NUL in a value": (f"GET / HTTP/1.1\r\n{HOST}A: b\x00c\r\n\r\n", 400),
    "NUL in a name": (f"GET / HTTP/1.1\r\n{HOST}A\x00: b\r\n\r\n", 400),
    "no colon": (f"GET / HTTP/1.1\r\n{HOST}A\r\n\r\n", 400),
    "no name": (f"GET / HTTP/1.1\r\n{HOST}: b\r\n\r\n", 400),
    "space before the colon": (f"{POST}Content-Length : 2\r\n\r\n{{}}", 400),
    "two lengths": (f"{POST}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{{}}", 400),
    "one length twice": (f"{POST}Content-Length: 2\r\nContent-Length: 2\r\n\r\n{{}}", 400),
    "lengths in a list": (f"{POST}Content-Length: 2, 2\r\n\r\n{{}}", 400),
    "negative length": (f"{POST}Content-Length: -2\r\n\r\n{{}}", 400),
    "signed length": (f"{POST}Content-Length: +2\r\n\r\n{{}}", 400),
    "length in hexadecimal": (f"{POST}Content-Length: 0x2\r\n\r\n{{}}", 400),
    "length with a bar": (f"{POST}Content-Length: 1_0\r\n\r\n{{}}", 400),
    "length in other digits": (f"{POST}Content-Length: \xb2\r\n\r\n{{}}", 400),
    "empty length": (f"{POST}Content-Length:\r\n\r\n{{}}", 400),
    "length of 20 digits": (f"{POST}Content-Length: 99999999999999999999\r\n\r\n{{}}", 400),
    "length and chunks": (f"{CHUNKED}Content-Length: 2\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n", 400),
    "chunks and length": (
        f"{POST}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n",
        400,
    ),
    "chunks twice": (f"{CHUNKED}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "chunks in a list": (f"{POST}Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 400),
    "identity and chunks": (f"{CHUNKED}Transfer-Encoding: identity\r\n\r\n0\r\n\r\n", 400),
    "gzip in chunks": (f"{POST}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400),
    "gzip behind chunks": (f"{POST}Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", 400),
    "no known encoding": (f"{POST}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400),
    "quoted encoding": (f'{POST}Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n', 400),
    "space before the colon of chunks": (
        f"{POST}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    "vertical tab before chunked": (f"{POST}Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", 400),
    "chunks in HTTP/1.0": (
        f"{CHUNKED.replace('HTTP/1.1', 'HTTP/1.0')}\r\n2\r\n{{}}\r\n0\r\n\r\n",
        400,
    ),
    "no size of a chunk": (f"{CHUNKED}\r\n\r\n{{}}\r\n0\r\n\r\n", 400),
    "size that is none": (f"{CHUNKED}\r\ng\r\n{{}}\r\n0\r\n\r\n", 400),
    "negative size": (f"{CHUNKED}\r\n-2\r\n{{}}\r\n0\r\n\r\n", 400),
    "size with a prefix": (f"{CHUNKED}\r\n0x2\r\n{{}}\r\n0\r\n\r\n", 400),
    "space before the size": (f"{CHUNKED}\r\n 2\r\n{{}}\r\n0\r\n\r\n", 400),
    "space behind the size": (f"{CHUNKED}\r\n2 \r\n{{}}\r\n0\r\n\r\n", 400),
    "size of 17 digits": (f"{CHUNKED}\r\n10000000000000002\r\n{{}}\r\n0\r\n\r\n", 400),
    "size too small": (f"{CHUNKED}\r\n1\r\n{{}}\r\n0\r\n\r\n", 400),
    "bare LF behind the size": (f"{CHUNKED}\r\n2\n{{}}\r\n0\r\n\r\n", 400),
    "bare CR behind the size": (f"{CHUNKED}\r\n2\r{{}}\r\n0\r\n\r\n", 400),
    "bare LF behind a chunk": (f"{CHUNKED}\r\n2\r\n{{}}\n0\r\n\r\n", 400),
    "bare CR in an extension": (f"{CHUNKED}\r\n2;a\rb\r\n{{}}\r\n0\r\n\r\n", 400),
    "bare LF in an extension": (f"{CHUNKED}\r\n2;a\nb\r\n{{}}\r\n0\r\n\r\n", 400),
    "NUL in an extension": (f"{CHUNKED}\r\n2;\x00\r\n{{}}\r\n0\r\n\r\n", 400),
    "trailer": (f"{CHUNKED}\r\n2\r\n{{}}\r\n0\r\nContent-Encoding: gzip\r\n\r\n", 400),
    "long extension": (f"{CHUNKED}\r\n2;{LONG * 4}", 400),
    "long trailer": (f"{CHUNKED}\r\n2\r\n{{}}\r\n0\r\nA: {LONG * 4}", 400),
    "many extensions": (f"{CHUNKED}\r\n" + f"1;{'x' * 100}\r\n \r\n" * 2000, 400),
    "long target": (f"GET /{LONG} HTTP/1.1\r\n{HOST}\r\n", 414),
    "long query": (f"GET /?{LONG} HTTP/1.1\r\n{HOST}\r\n", 414),
    "endless target": (f"GET /{LONG * 10}", 414),
    "long value": (f"GET / HTTP/1.1\r\n{HOST}A: {LONG}\r\n\r\n", 431),
    "long name": (f"GET / HTTP/1.1\r\n{HOST}{LONG}: a\r\n\r\n", 431),
    "endless value": (f"GET / HTTP/1.1\r\n{HOST}A: {LONG * 10}", 431),
    "many lines": (f"GET / HTTP/1.1\r\n{HOST}" + "A: b\r\n" * 100 + "\r\n", 431),
    "endless lines": (f"GET / HTTP/1.1\r\n{HOST}" + "A: b\r\n" * 50_000, 431),
    "endless line ends": ("\r\n" * 50_000, 400),
    "another expectation": (f"{POST}Expect: 200-ok\r\nContent-Length: 2\r\n\r\n{{}}", 417),
    "two expectations": (
        f"{POST}Expect: 100-continue\r\nExpect: x\r\nContent-Length: 2\r\n\r\n{{}}",
        417,
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken_is_refused_and_ends_the_connection(collector: Collector, name: str) -> None:
    content, status = BROKEN[name]
    client = Client(collector.port)
    with suppress(ConnectionError):
        client.send(content, SMUGGLED)
    [answer] = client.answers()
    assert answer.error[0] == status
    assert answer.headers["connection"] == "close"
    assert int(answer.headers["content-length"]) == len(answer.body)


UNUSUAL = {
    "HTTP/1.0": (f"POST {OPEN} HTTP/1.0\r\nContent-Length: 2\r\n\r\n{{}}", 200, True),
    "HTTP/1.0 that is kept": (f"GET {OPEN} HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 200, True),
    "close": (f"{POST}Connection: close\r\nContent-Length: 2\r\n\r\n{{}}", 200, True),
    "line ends before": (f"\r\n\r\n{EMPTY}", 200, False),
    "two spaces": (EMPTY.replace(" /", "  /"), 200, False),
    "no body": (f"{POST}\r\n", 200, False),
    "empty value": (f"{POST}Content-Encoding:\r\nContent-Length: 2\r\n\r\n{{}}", 200, False),
    "empty value of an unknown header": (f"{POST}A:\r\nContent-Length: 2\r\n\r\n{{}}", 200, False),
    "chunks": (f"{CHUNKED}\r\n1\r\n{{\r\n1\r\n}}\r\n0\r\n\r\n", 200, False),
    "chunks with leading zeros": (f"{CHUNKED}\r\n002\r\n{{}}\r\n000\r\n\r\n", 200, False),
    "chunks with an extension": (f"{CHUNKED}\r\n2;a=b\r\n{{}}\r\n0\r\n\r\n", 200, False),
    "encoding in capitals": (
        f"{POST}TRANSFER-ENCODING: CHUNKED\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n",
        200,
        False,
    ),
    "a name in a query": (f"GET {OPEN}?key=http://x/?b HTTP/1.1\r\n{HOST}\r\n", 200, False),
    "body of a GET": (f"GET {OPEN} HTTP/1.1\r\n{HOST}Content-Length: 2\r\n\r\n{{}}", 200, False),
    "HEAD": (f"HEAD {OPEN} HTTP/1.1\r\n{HOST}Connection: close\r\n\r\n", 200, True),
    "TRACE": (f"TRACE {OPEN} HTTP/1.1\r\n{HOST}\r\n", 405, False),
    "PROPFIND": (f"PROPFIND /forget HTTP/1.1\r\n{HOST}\r\n", 405, False),
    "PUT on a page": (f"PUT / HTTP/1.1\r\n{HOST}Content-Length: 2\r\n\r\n{{}}", 405, False),
    "two slashes": (f"POST /{OPEN} HTTP/1.1\r\n{HOST}Content-Length: 2\r\n\r\n{{}}", 404, False),
    "encoded version": (f"GET {OPEN.replace('v1', '%761')} HTTP/1.1\r\n{HOST}\r\n", 404, False),
    "dots": (f"GET /static/../../app.py HTTP/1.1\r\n{HOST}\r\n", 404, False),
    "encoded dots": (f"GET /static/%2e%2e%2f%2e%2e/app.py HTTP/1.1\r\n{HOST}\r\n", 404, False),
    "encoded NUL": (f"GET /static/%00 HTTP/1.1\r\n{HOST}\r\n", 404, False),
    "encoded line feed": (
        f"GET /packages/a%0d%0aSet-Cookie:%20a HTTP/1.1\r\n{HOST}\r\n",
        404,
        False,
    ),
    "bytes that are no text": (f"GET /packages/%ff HTTP/1.1\r\n{HOST}\r\n", 404, False),
    "unknown encoding": (
        f"{POST}Content-Encoding: br\r\nContent-Length: 2\r\n\r\n{{}}",
        415,
        False,
    ),
    "two encodings": (f"{POST}{GZIP * 2}Content-Length: 2\r\n\r\n{{}}", 415, False),
    "length above the limit": (f"{POST}Content-Length: 10485761\r\n\r\n", 413, True),
    "length far above it": (f"{POST}Content-Length: 9999999999999999999\r\n\r\n", 413, True),
    "too long, and asked first": (
        f"{POST}Expect: 100-continue\r\nContent-Length: 10485761\r\n\r\n",
        413,
        True,
    ),
    "refused before it was read": (
        f"GET /nowhere HTTP/1.1\r\n{HOST}Content-Length: 99999\r\n\r\n",
        404,
        True,
    ),
}


@pytest.mark.parametrize("name", UNUSUAL)
def test_what_is_unusual_is_answered_and_no_more(collector: Collector, name: str) -> None:
    content, status, closes = UNUSUAL[name]
    if closes:
        client = Client(collector.port).send(content)
        if name == "HEAD":
            assert b"\r\ncontent-length: " in client.socket.recv(65_536)
            assert client.socket.recv(1) == b""
            return
        answers = client.send(SMUGGLED).answers()
    else:  # what follows it on the connection is a request of its own
        answers = (
            Client(collector.port).send(content, f"GET {OPEN}/none HTTP/1.0\r\n\r\n").answers()
        )
        assert answers.pop().error[0] == 404
    assert [answer.status for answer in answers] == [status]
    if status >= 400 and answers[0].headers["content-type"].startswith("application/json"):
        assert answers[0].error[0] == status


def test_what_comes_at_once_has_the_same_limits(collector: Collector) -> None:
    [answer] = Client(collector.port).send(f"{BROKEN['endless line ends'][0]}{SMUGGLED}").answers()
    assert answer.error[0] == 400


def test_answers_come_in_the_order_of_requests(collector: Collector) -> None:
    names = [f"n{number}" for number in range(40)]
    requests = [
        f"POST {OPEN}?documentId={name} HTTP/1.1\r\n{HOST}Content-Length: 2\r\n\r\n{{}}"
        for name in names
    ]
    client = Client(collector.port).send("".join(requests), "garbage\r\n\r\n", SMUGGLED)
    *answers, last = client.answers()
    assert [str(answer.json["name"]).rpartition("/")[2] for answer in answers] == names
    assert last.error[0] == 400


LENGTH = "Content-Length: 9\r\n\r\n123"
CHUNKS = "Transfer-Encoding: chunked\r\n\r\n3\r\n123"


@pytest.mark.parametrize("target", [f"{OPEN}/none", "/nowhere"])
@pytest.mark.parametrize(
    ("body", "end"),
    [
        (LENGTH, "never"),
        (LENGTH, "early"),
        (CHUNKS, "never"),
        (CHUNKS, "early"),
        (CHUNKS, "broken"),
    ],
)
def test_a_body_that_ends_badly_is_not_refused_where_its_request_was_answered(
    hasty: int, target: str, body: str, end: str
) -> None:
    client = Client(hasty).send(f"GET {target} HTTP/1.1\r\n{HOST}{body}")
    assert client.answer().error[0] == 404
    if end == "early":
        client.socket.shutdown(socket.SHUT_WR)
    elif end == "broken":
        client.send("X", SMUGGLED)
    assert client.answers() == []


@settings(max_examples=25)
@given(
    chosen=st.lists(st.sampled_from(range(5)), max_size=8),
    cuts=st.sets(st.integers(1, 1500), max_size=12),
    is_broken=st.booleans(),
)
def test_it_makes_no_difference_how_requests_are_cut(
    collector: Collector, *, chosen: list[int], cuts: set[int], is_broken: bool
) -> None:
    known = [
        (EMPTY, 200),
        (f"{CHUNKED}\r\n1\r\n{{\r\n1;a\r\n}}\r\n0\r\n\r\n", 200),
        (f"GET {OPEN}/none HTTP/1.1\r\n{HOST}\r\n", 404),
        (f"PUT {OPEN} HTTP/1.1\r\n{HOST}Content-Length: 20\r\n\r\n{'x' * 20}", 405),
        (f"GET /nowhere HTTP/1.1\r\n{HOST}\r\n", 404),
    ]
    content = "".join(known[number][0] for number in chosen) + ("X\r\n" if is_broken else "")
    client = Client(collector.port)
    places = [0, *sorted(cut for cut in cuts if cut < len(content)), len(content)]
    for start, end in pairwise(places):
        client.send(content[start:end])
        time.sleep(0.001)
    client.socket.shutdown(socket.SHUT_WR)
    assert [answer.status for answer in client.answers()] == [known[n][1] for n in chosen] + [
        400
    ] * is_broken


def test_a_broken_body_does_not_take_the_place_of_what_was_asked_before(
    collector: Collector,
) -> None:
    content = f"{EMPTY}GET {OPEN}/none HTTP/1.1\r\n{HOST}\r\n{CHUNKED}\r\n2\r\n{{}}\r\nX"
    assert [answer.status for answer in Client(collector.port).send(content).answers()] == [
        200,
        404,
        400,
    ]


def test_too_many_requests_in_a_row_are_refused_behind_those_that_are_answered(
    collector: Collector,
) -> None:
    answers = (
        Client(collector.port).send(f"GET {OPEN}/none HTTP/1.1\r\n{HOST}\r\n" * 2000).answers()
    )
    assert {answer.status for answer in answers[:-1]} == {404}
    assert answers[-1].error == (429, "RESOURCE_EXHAUSTED")


def test_whoever_sends_no_more_is_still_answered(collector: Collector) -> None:
    client = Client(collector.port).send(EMPTY, EMPTY)
    client.socket.shutdown(socket.SHUT_WR)
    assert [answer.status for answer in client.answers()] == [200, 200]


@pytest.mark.parametrize("part", ["POST", EMPTY[:-30], EMPTY[:-1], f"{CHUNKED}\r\n2\r\n{{"])
def test_what_ends_too_soon_is_refused(collector: Collector, part: str) -> None:
    client = Client(collector.port).send(part)
    client.socket.shutdown(socket.SHUT_WR)
    [answer] = client.answers()
    assert answer.error == (400, "INVALID_ARGUMENT")


def test_a_body_is_asked_for_where_the_client_waits_for_that(collector: Collector) -> None:
    client = Client(collector.port).send(f"{POST}Expect: 100-Continue\r\nContent-Length: 2\r\n\r\n")
    assert client.answer().status == 100
    assert client.send("{}").answer().status == 200
    assert client.send(EMPTY).answer().status == 200


def test_a_short_body_is_read_after_an_early_answer(collector: Collector) -> None:
    client = Client(collector.port).send(
        f"PUT {OPEN} HTTP/1.1\r\n{HOST}Content-Length: 1000\r\n\r\n"
    )
    assert client.answer().error[0] == 405
    assert client.send(b"x" * 1000, EMPTY).answer().status == 200


def test_a_long_body_is_left_after_an_early_answer_that_arrives(collector: Collector) -> None:
    client = Client(collector.port).send(
        f"PUT {OPEN} HTTP/1.1\r\n{HOST}Content-Length: 3000000\r\n\r\n"
    )
    [answer] = client.send(b"x" * 3_000_000, SMUGGLED).answers()
    assert (answer.error[0], answer.headers["connection"]) == (405, "close")


@pytest.mark.parametrize("how", ["document", "write"])
def test_a_document_has_a_limit_with_a_token_too(collector: Collector, how: str) -> None:
    """A commit may be longer, but none of its documents."""
    values = b",".join([b'{"mapValue":{}}'] * 300_000)
    fields = b'"fields":{"a":{"arrayValue":{"values":[' + values + b"]}}}"
    name = f"{ROOT.removeprefix('/v1/')}/cities/a".encode()
    write = b'{"writes":[{"update":{"name":"' + name + b'",' + fields + b"}}]}"
    path, body = (OPEN, b"{" + fields + b"}") if how == "document" else (f"{ROOT}:commit", write)
    answer = collector.request("POST", path, body, headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.error[0] == 413


def test_long_bodies_that_arrive_at_once_have_no_more_room_than_there_is(
    collector: Collector,
) -> None:
    """Each of a client of its own, with a token, for otherwise bodies are shorter."""
    head = f"{POST}Authorization: Bearer {TOKEN}\r\nContent-Length: 4000000\r\n\r\n"
    clients = [Client(collector.port, f"127.0.1.{place + 1}").send(head) for place in range(30)]
    for client in clients:
        with suppress(ConnectionError):
            client.send(b" " * 3_999_998)
    assert Client(collector.port).send(EMPTY).answer().status == 200
    answers = []
    for client in clients:
        with suppress(ConnectionError):
            client.send(b"{}")
        answers.append(client.answer())
    assert {answer.status for answer in answers} == {200, 503}
    refused = next(answer for answer in answers if answer.status == 503)
    assert (refused.error[1], refused.headers["retry-after"]) == ("UNAVAILABLE", "1")
    assert collector.request("POST", OPEN, b" " * 1_000_000 + b"{}").status == 200


def test_a_gzip_that_understates_itself_is_not_unpacked(collector: Collector) -> None:
    body = gzip.compress(b" " * 100_000 + b"{}")[:-4] + (2).to_bytes(4, "little")
    assert collector.request("POST", OPEN, body, {"Content-Encoding": "gzip"}).error == (
        400,
        "INVALID_ARGUMENT",
    )


def bomb(layers: int) -> bytes:
    content = b"{" + b" " * 50_000_000 + b"}"
    for _ in range(layers):
        content = gzip.compress(content, 9)
    return content


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (bomb(1), 413),
        (bomb(2), 400),
        (gzip.compress(b"{}")[:-1], 400),
        (gzip.compress(b"{}") * 2, 400),
        (zlib.compress(b"{}"), 400),
        (gzip.compress(b"{}"), 200),
    ],
    ids=["bomb", "bomb in a bomb", "cut", "twice", "zlib", "whole"],
)
def test_a_body_that_is_not_what_it_says(collector: Collector, body: bytes, status: int) -> None:
    answer = collector.request("POST", OPEN, body, {"Content-Encoding": "gzip"})
    assert answer.status == status
    assert status == 200 or answer.error[1] == "INVALID_ARGUMENT"


HEAD = f"POST {OPEN} HTTP/1.1\r\n{HOST}Content-Length: 200\r\n\r\n"


@pytest.mark.parametrize(
    ("at_once", "slowly"),
    [
        ("", HEAD),
        (EMPTY, HEAD),
        (f"GET / HTTP/1.1\r\n{HOST}A: ", LONG),
        (HEAD, LONG),
        (f"{HEAD}{'x' * 100}", LONG),
        (f"{CHUNKED}\r\n", "1\r\nx\r\n" * 100),
        (f"{CHUNKED}\r\n1;", LONG),
        (f"{CHUNKED}\r\n0\r\nA: ", LONG),
    ],
    ids=["head", "second head", "line", "body", "rest of a body", "chunks", "extension", "trailer"],
)
def test_a_slow_sender_is_cut_off(hasty: int, at_once: str, slowly: str) -> None:
    client = Client(hasty).send(at_once).drip(slowly, 0.05)
    answers = client.answers()
    assert answers[-1].error == (408, "DEADLINE_EXCEEDED")
    assert len(answers) == (2 if at_once == EMPTY else 1)


@pytest.mark.parametrize(
    "at_once", ["", EMPTY, f"{EMPTY}\r\n"], ids=["before", "between", "line end"]
)
def test_whoever_asks_nothing_is_left_without_a_word(hasty: int, at_once: str) -> None:
    answers = Client(hasty).send(at_once).answers()
    assert [answer.status for answer in answers] == [200] * bool(at_once)


def test_whoever_reads_no_answer_is_cut_off(hasty: int) -> None:
    fields = {"text": {"stringValue": "x" * 900_000}}
    for number in range(8):
        body = json.dumps({"fields": fields})
        head = f"PATCH {OPEN}/long{number} HTTP/1.1\r\n{HOST}Content-Length: {len(body)}\r\n\r\n"
        assert Client(hasty).send(head, body).answer().status == 200
    client = Client(hasty).send(f"GET {OPEN} HTTP/1.1\r\n{HOST}\r\n")
    time.sleep(2 * HASTY.request_s)
    received = 0
    cut = False
    try:
        while chunk := client.socket.recv(1_000_000):
            received += len(chunk)
    except ConnectionResetError:
        cut = True
    assert cut or received < 7_000_000


class Recorded:
    """A connection that is none."""

    def __init__(self) -> None:
        self.client = "127.0.0.1"
        self.content = b""
        self.writable: asyncio.Future[None] | None = None
        self.default_headers: list[tuple[bytes, bytes]] = []

    def write(self, content: bytes, *, is_last: bool) -> None:  # noqa: ARG002
        self.content += content

    def steer(self) -> None:
        """Nothing more comes."""


@pytest.mark.parametrize(("body", "keeps_alive"), [(b"0123456789", True), (b"012", False)])
def test_an_answer_that_is_shorter_than_it_says_is_the_last(
    body: bytes, *, keeps_alive: bool
) -> None:
    """Else the client would take the next answer for the rest of this one."""
    head = Head(Limits())
    channel = Recorded()
    head.add_target(b"/")
    head.headers.append((b"host", b"localhost"))
    head.end("GET", "1.1", upgrades=False)
    exchange = Exchange(channel, head, keeps_alive=True)
    exchange.end()

    async def app(_: Scope, __: Receive, send: Send) -> None:
        await send(
            {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"10")]}
        )
        await send({"type": "http.response.body", "body": body})

    asyncio.run(exchange.run(app, {}))
    assert channel.content.endswith(b"\r\n\r\n" + body)
    assert exchange.keeps_alive is keeps_alive
