"""The search for secrets finds them however they are packed, so that a table of none means none."""

import base64
import gzip
import hashlib
import json
import zlib
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest
from host.canaries import SECRETS, search
from host.servers import requests

PACKINGS: dict[str, Callable[[bytes], bytes]] = {
    "plain": lambda body: body,
    "upper case": bytes.upper,
    "percent": lambda body: quote(body, safe="").encode(),
    "form of base64": lambda body: b"data=" + quote(base64.b64encode(body)).encode(),
    "base64 for addresses": base64.urlsafe_b64encode,
    "gzip": gzip.compress,
    "zlib": zlib.compress,
    "base64 in gzip": lambda body: gzip.compress(b'{"data": "' + base64.b64encode(body) + b'"}'),
}


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("kind", SECRETS)
def test_a_secret_is_found_in_every_packing(kind: str, packing: str) -> None:
    body = PACKINGS[packing](json.dumps({"a text": f"before {SECRETS[kind]} and after"}).encode())
    request = b"POST /path HTTP/1.1\r\nHost: localhost\r\n\r\n" + body
    assert search([request]) == {"plain": [kind], "hashed": []}


def test_a_secret_is_found_in_the_head_and_as_a_hash_and_nothing_else() -> None:
    kind = "home folder"
    digest = hashlib.sha256(SECRETS[kind].encode()).hexdigest()
    assert search([f"GET /{SECRETS[kind]} HTTP/1.1\r\n\r\n".encode()]) == {
        "plain": [kind],
        "hashed": [],
    }
    assert search([f"GET /{digest} HTTP/1.1\r\n\r\n".encode()]) == {"plain": [], "hashed": [kind]}
    assert search([b"GET /nothing HTTP/1.1\r\n\r\n"]) == {"plain": [], "hashed": []}


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, br"])
def test_what_cannot_be_unpacked_is_not_taken_for_clean(coding: str) -> None:
    request = (
        f"POST / HTTP/1.1\r\nContent-Encoding: {coding}\r\n\r\n".encode() + b"\x28\xb5\x2f\xfd"
    )
    with pytest.raises(ValueError, match="which is not searched yet"):
        search([request])


def test_a_request_that_came_before_is_searched_again_in_the_next_run(tmp_path: Path) -> None:
    kind = "log line"
    folder = tmp_path / "healthy" / "system"
    folder.mkdir(parents=True)
    same = f"POST / HTTP/1.1\r\n\r\n{SECRETS[kind]}".encode()
    for number in range(12):
        (folder / str(number)).write_bytes(same if number in (2, 10) else b"GET / HTTP/1.1\r\n\r\n")
    second = requests(tmp_path, "healthy", "system", since=10)
    assert second[0] == same
    assert len(second) == 2
    assert search(second)["plain"] == [kind]
    assert len(requests(tmp_path, "healthy", "system")) == 12
    assert requests(tmp_path, "healthy", "system", since=12) == []
