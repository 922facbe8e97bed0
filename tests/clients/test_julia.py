"""The requests of RxInfer.jl, byte by byte as HTTP.jl sends them: no key, compact JSON, head and
body in two writes."""

import json
import socket
from collections.abc import Iterator, Mapping
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

import pytest

from collectors import ROOT, TOKEN, Collector, run_collector, run_server
from plaintally.contract import Contract
from shared import commit, forget, write_contract
from waiting import PATIENCE_S

USAGE = "1d5ff8a1-a4a9-4ef0-9ba1-6a1e8a8ba0cb"
SESSION = "9eb898b5-76a4-49b0-b1b6-ba209ba39adf"
STATS = "0a7c1b2e-0c2f-4d59-9f0c-0d7a3c9d1b11"
INVOKES = ["5b0e1c6e-7a53-4e0e-8f6d-0c3f7f1f0001", "5b0e1c6e-7a53-4e0e-8f6d-0c3f7f1f0002"]
COUNT = (
    '{"fields":{"rxinferVersion":{"stringValue":"5.0.0"},"juliaVersion":{"stringValue":"1.11.6"},'
    '"timestamp":{"timestampValue":"2026-11-23T20:15:30.120Z"},'
    '"id":{"stringValue":"1d5ff8a1-a4a9-4ef0-9ba1-6a1e8a8ba0cb"}}}'
)
OLD_COUNT = (
    '{"fields":{"timestamp":{"timestampValue":"2026-11-23T20:15:30.000Z"},'
    '"id":{"stringValue":"9eb898b5-76a4-49b0-b1b6-ba209ba39adf"}}}'
)
SHARED = {
    "sessions": '{"fields":{"id":{"stringValue":"9eb898b5-76a4-49b0-b1b6-ba209ba39adf"},'
    '"created_at":{"timestampValue":"2026-11-23T21:15:30.120Z"},'
    '"environment":{"mapValue":{"fields":{"word_size":{"integerValue":64},"os":{"stringValue":"Linux"},'
    '"julia_version":{"stringValue":"1.11.6"},"machine":{"stringValue":"x86_64-linux-gnu"},'
    '"rxinfer_version":{"stringValue":"5.0.0"},"cpu_threads":{"integerValue":16}}}}}}',
    "session_stats": '{"fields":{"id":{"stringValue":"0a7c1b2e-0c2f-4d59-9f0c-0d7a3c9d1b11"},'
    '"session":{"stringValue":"9eb898b5-76a4-49b0-b1b6-ba209ba39adf"},'
    '"label":{"stringValue":"inference"},"total_invokes":{"integerValue":2},"success_count":{"integerValue":1},'
    '"failed_count":{"integerValue":1},"success_rate":{"doubleValue":0.5},"min_duration_ms":{"doubleValue":100000.0},'
    '"max_duration_ms":{"doubleValue":1.0e6},"total_duration_ms":{"doubleValue":1.1e6},'
    '"context_keys":{"arrayValue":{"values":[{"stringValue":"model_name"},{"stringValue":"error"}]}}}}',
    "invokes": '{"fields":{"id":{"stringValue":"5b0e1c6e-7a53-4e0e-8f6d-0c3f7f1f0001"},'
    '"session_stats":{"stringValue":"0a7c1b2e-0c2f-4d59-9f0c-0d7a3c9d1b11"},'
    '"status":{"stringValue":"success"},"execution_start":{"timestampValue":"2026-11-23T21:15:30.120Z"},'
    '"execution_end":{"timestampValue":"2026-11-23T21:17:10.120Z"},"context":{"mapValue":{"fields":{'
    '"model_name":{"stringValue":"hidden_märkov"},"iterations":{"nullValue":null},"free_energy":{"booleanValue":true},'
    '"options":{"mapValue":{"fields":{}}},"data_entries":{"arrayValue":{"values":[]}}}}}}}',
}
FAILED = SHARED["invokes"].replace(INVOKES[0], INVOKES[1]).replace('"success"', '"error"')


class Julia:
    """One connection of HTTP.jl's pool, which stays open."""

    def __init__(self, collector: Collector) -> None:
        self.collector = collector
        self.socket = socket.create_connection(("127.0.0.1", collector.port), timeout=PATIENCE_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, method: str, path: str, body: str) -> tuple[int, dict[str, Any]]:
        content = body.encode()
        head = (
            f"{method} {path} HTTP/1.1\r\nAccept: application/json\r\nContent-Type: "
            "application/json\r\n"
            f"Host: 127.0.0.1:{self.collector.port}\r\nUser-Agent: HTTP.jl/1.11.6\r\n"
            f"Content-Length: {len(content)}\r\nAccept-Encoding: gzip\r\n\r\n"
        )
        self.socket.sendall(head.encode())
        self.socket.sendall(content)
        response = HTTPResponse(self.socket, method=method)
        response.begin()
        assert response.getheader("content-encoding") is None
        assert not response.will_close
        return response.status, json.loads(response.read())

    def add(self, collection: str, body: str) -> str:
        """What `__add_document` makes of the answer: the id in the name."""
        status, answer = self.send("POST", f"{ROOT}/{collection}", body)
        assert status == 200, answer
        assert isinstance(answer["name"], str)
        return answer["name"].rpartition("/")[2]


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Collector]:
    contract = write_contract(
        tmp_path, contract=Contract(dialect="rxinfer", counter=["package_version"])
    )
    with run_collector(tmp_path / "test.sqlite3", f"--contract={contract}", packages=()) as running:
        yield running


@pytest.fixture
def julia(collector: Collector) -> Iterator[Julia]:
    client = Julia(collector)
    with client.socket:
        yield client


def stored(collector: Collector, name: str) -> Mapping[str, Any]:
    answer = collector.request(
        "GET", f"{ROOT}/{name}", headers={"Authorization": f"Bearer {TOKEN}"}
    )
    fields = answer.json["fields"]
    assert isinstance(fields, dict)
    return fields


def test_counts(julia: Julia, collector: Collector) -> None:
    name = julia.add("using_rxinfer", COUNT)
    assert len(name) == 20
    old = julia.add("using_rxinfer", OLD_COUNT)
    assert julia.send("PATCH", f"{ROOT}/using_rxinfer/{old}", OLD_COUNT)[0] == 200
    assert collector.counted() == {'{"package_version":"5.0.0"}': 1, "{}": 1}
    for wrong in (
        COUNT.replace("1.11.6", "C:\\\\Users"),
        COUNT.replace("juliaVersion", "user"),
        COUNT.replace('"5.0.0"', "5"),
    ):
        assert julia.send("POST", f"{ROOT}/using_rxinfer", wrong)[0] == 400


def test_a_session(julia: Julia, collector: Collector) -> None:
    names = [julia.add(collection, body) for collection, body in SHARED.items()]
    names.append(julia.add("invokes", FAILED))
    assert names == [SESSION, STATS, *INVOKES]
    again = SHARED["session_stats"].replace('"integerValue":2', '"integerValue":3')
    for collection, body, name in (
        ("sessions", SHARED["sessions"], SESSION),
        ("session_stats", again, STATS),
    ):
        assert julia.send("PATCH", f"{ROOT}/{collection}/{name}", body)[0] == 200
    assert stored(collector, f"session_stats/{STATS}")["total_invokes"] == {"integerValue": "3"}
    shown = run_server(
        collector.database.parent, "lookup", SESSION, f"--database={collector.database}"
    )
    assert shown.returncode == 0, shown.stderr
    for part in (SESSION, "inference", "hidden_märkov", "100"):
        assert part in shown.stdout


@pytest.mark.long
def test_a_thousand_invokes_in_a_row(julia: Julia, collector: Collector) -> None:
    for number in range(1000):
        assert julia.add(
            "invokes", SHARED["invokes"].replace(INVOKES[0], f"{INVOKES[0][:-4]}{number:04}")
        )
    assert stored(collector, f"invokes/{INVOKES[0]}")["context"]["mapValue"]["fields"][
        "options"
    ] == {"mapValue": {"fields": {}}}


def test_what_the_dialect_does_not_have(julia: Julia, collector: Collector) -> None:
    julia.add("sessions", SHARED["sessions"])
    julia.add("session_stats", SHARED["session_stats"])
    for collection, body, old, new, code in (
        ("sessions", "sessions", SESSION, "me", 400),
        ("sessions", "sessions", '"Linux"', f'"{"x" * 257}"', 400),
        ("sessions", "sessions", '{"stringValue":"Linux"}', '{"mapValue":{}}', 400),
        ("sessions", "sessions", '"environment"', '"user"', 400),
        ("session_stats", "session_stats", '"inference"', '""', 400),
        ("session_stats", f"session_stats/{STATS}", '"inference"', '"another"', 200),
        ("session_stats", f"session_stats/{STATS}", SESSION, USAGE, 200),
        ("invokes", "invokes", '"success"', '"running"', 400),
        ("invokes", "invokes", '"nullValue":null', '"integerValue":1.5', 400),
        ("sessions", "sessions", "", "", 409),
    ):
        method = "PATCH" if "/" in body else "POST"
        wrong = SHARED[collection].replace(old, new) if old else SHARED[collection]
        assert julia.send(method, f"{ROOT}/{body}", wrong)[0] == code, (collection, new)
    label, session = (
        stored(collector, f"session_stats/{STATS}")[name] for name in ("label", "session")
    )
    assert (label, session) == ({"stringValue": "inference"}, {"stringValue": SESSION})
    assert forget(collector, SESSION, "any key").error[0] == 403
    assert forget(collector, SESSION).json == {"request": {"session": SESSION, "state": "waiting"}}
    approved = run_server(
        collector.database.parent, "forget", "approve", SESSION, f"--database={collector.database}"
    )
    assert approved.returncode == 0, approved.stderr
    assert julia.send("POST", f"{ROOT}/sessions", SHARED["sessions"])[0] == 403


def test_only_one_package_has_the_dialect(tmp_path: Path) -> None:
    contract = Contract(dialect="rxinfer")
    paths = [
        f"--contract={write_contract(tmp_path, package, contract)}"
        for package in ("rxinfer", "another")
    ]
    done = run_server(tmp_path, "serve", *paths, "--port=0")
    assert done.returncode == 1
    assert "dialect rxinfer" in done.stderr


def test_without_the_dialect_nothing_of_it_is_taken(tmp_path: Path) -> None:
    with run_collector(tmp_path / "test.sqlite3") as collector:
        for collection, body in (("using_rxinfer", COUNT), *SHARED.items()):
            assert collector.request("POST", f"{ROOT}/{collection}", body.encode()).error[0] == 400
        assert commit(collector).status == 200
