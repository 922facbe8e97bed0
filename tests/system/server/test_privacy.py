"""The collector keeps no address and no header: its files and its output are searched for them."""

import base64
import socket
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from collectors import ROOT, TOKEN, count, run_collector
from postgresql import run_postgres

ADDRESS = "127.99.88.77"
CANARIES = {
    "User-Agent": "canary-agent/1.0",
    "Cookie": "session=canary-cookie",
    "Authorization": "Bearer canary-authorization",
    "X-Forwarded-For": "198.51.100.23",
    "Forwarded": "for=198.51.100.24",
    "Accept-Language": "canary-language",
    "Referer": "http://canary-referer.example/",
    "Host": "canary.example",
}


def spellings(text: str) -> list[bytes]:
    """How a text could be written down."""
    plain = text.encode()
    return [
        plain,
        plain.hex().encode(),
        base64.b64encode(plain).rstrip(b"=")[:-1],
        text.encode("utf-16-le"),
    ]


def found_in(folder: Path, output: str) -> list[str]:
    packed = [socket.inet_aton(ADDRESS), socket.inet_aton("198.51.100.23"), ADDRESS.encode()]
    wanted = {name: spellings(value.rpartition(" ")[2]) for name, value in CANARIES.items()} | {
        "address": packed
    }
    haystack = output.encode() + b"".join(
        path.read_bytes() for path in folder.rglob("*") if path.is_file()
    )
    return [name for name, forms in wanted.items() if any(form in haystack for form in forms)]


@pytest.fixture(params=["file", pytest.param("server", marks=pytest.mark.postgres)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Path, str | None]]:
    """The folder in which everything is kept, and the address of a database there."""
    if request.param == "file":
        yield tmp_path, None
        return
    with run_postgres() as server:
        yield server.folder, server.new_store()


def test_no_address_and_no_header_is_kept(place: tuple[Path, str | None], tmp_path: Path) -> None:
    folder, url = place
    with run_collector(tmp_path / "kept.sqlite3", url=url) as collector:
        requests: list[tuple[str, str, object]] = [
            ("POST", f"{ROOT}/using_rxinfer", count()),
            ("PATCH", f"{ROOT}/using_rxinfer/a", count()),
            ("GET", f"{ROOT}/using_rxinfer/a", None),
            ("POST", f"{ROOT}/using_rxinfer", b"no JSON"),
            ("POST", f"{ROOT}/users", count()),
            ("GET", "/packages/rxinfer", None),
            ("GET", "/nowhere", None),
            ("POST", f"{ROOT}:commit", {"writes": []}),
            ("POST", f"{ROOT}:forget", {"session": str(uuid.uuid4())}),
            ("POST", f"{ROOT}:forget", {"session": str(uuid.uuid4()), "key": "canary-cookie"}),
            ("POST", "/forget", f"session={uuid.uuid4()}".encode()),
            ("POST", "/login", b"token=canary-cookie"),
            ("GET", "/maintain", None),
            ("PUT", "/v1/x", b"x" * 100_000),
        ]
        statuses = [
            collector.request(method, path, body, CANARIES, source=ADDRESS).status
            for method, path, body in requests
        ]
        assert statuses[:2] == [200, 200]
        assert found_in(folder, "") == []  # while the write-ahead log is there
        with socket.create_connection(
            ("127.0.0.1", collector.port), source_address=(ADDRESS, 0)
        ) as garbage:
            garbage.sendall(b"canary-agent/1.0 \x00\r\nHost: \xff\r\n\r\n")
            garbage.recv(1000)
        collector.process.terminate()
        assert collector.process.stdout
        output = collector.process.stdout.read()
    assert output == ""
    assert found_in(folder, output) == []
    assert TOKEN not in output


@pytest.mark.parametrize("name", [*CANARIES, "address"])
def test_the_search_finds_what_is_planted(tmp_path: Path, name: str) -> None:
    planted = CANARIES.get(name, "").rpartition(" ")[2].encode("utf-16-le") or socket.inet_aton(
        ADDRESS
    )
    (tmp_path / "planted.sqlite3").write_bytes(b"\x00\x01" + planted + b"\x02")
    assert found_in(tmp_path, "") == [name]
