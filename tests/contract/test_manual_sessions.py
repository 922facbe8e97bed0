"""The manual's parts on sessions and on sharing them, row by row: the example package, used as a
person uses it.

Each test is named after its row in docs/reference/manual.md; `tests/sdk` and `tests/server` go into
the corners.
"""

import inspect
import json
import os
import platform
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import rxinfer_py
from collectors import ROOT, Collector, run_collector, run_server
from hosts import MARKER, wait_until_gone
from loopback import OK, error, loopback
from plaintally import Telemetry, firestore
from plaintally.session import Session, SessionInvoke, SessionStats
from programs import program
from read_back import read_invoke, read_session, read_stats
from rxinfer_py.usage import CONTRACT
from terminals import see_at_terminal

PRELUDE = program("manual_sessions_prelude")


@dataclass(frozen=True)
class Person:
    """Somebody with a home of his own, who uses the example package."""

    home: Path

    @property
    def environment(self) -> dict[str, str]:
        return {
            "HOME": str(self.home),
            MARKER: str(self.home),
            "PYTHONIOENCODING": "utf-8",
            "LANG": "C.UTF-8",
        }

    def run(self, code: str, **env: str) -> list[Any]:
        """Run code in a process; what it `tell`s."""
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", PRELUDE + textwrap.dedent(code)],
            env={**self.environment, **env},
            cwd=self.home,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        *shown, last = ["", *done.stdout.splitlines()]
        told: list[Any] = json.loads(last) if last else []
        assert shown in ([], [""]) or "rx.share" in code  # nothing is printed unasked
        return told

    def point_at(self, endpoint: str) -> None:
        self.run(f"rx.set_telemetry_endpoint({endpoint!r})", PLAINTALLY="off")


@pytest.fixture
def person(tmp_path: Path) -> Person:
    home = tmp_path / "home"
    home.mkdir()
    return Person(home)


@pytest.fixture
def collector(tmp_path: Path, person: Person) -> Iterator[Collector]:
    contract = tmp_path / "contract.json"
    contract.write_text(json.dumps({"package": "rxinfer", **CONTRACT.to_dict()}))
    with run_collector(tmp_path / "collector.sqlite3", "--contract", str(contract)) as running:
        person.point_at(f"{running.url}{ROOT}")
        yield running


def test_b1_a_session_exists_from_the_import_on(person: Person) -> None:
    before = datetime.now(UTC)
    code = (
        "time.sleep(0.3); s = rx.default_session(); tell(s.id, s.created_at.isoformat(), "
        "s.environment)"
    )
    identifier, created_at, environment = person.run(code)
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", identifier)
    assert datetime.now(UTC) - timedelta(seconds=0.3) > datetime.fromisoformat(created_at) > before
    assert set(environment) == {
        "python_version",
        "package_version",
        "os",
        "machine",
        "cpu_threads",
        "word_size",
    }
    assert environment["python_version"] == "{}.{}".format(*sys.version_info)
    assert environment["package_version"] == rxinfer_py.__version__
    assert (environment["os"], environment["machine"]) == (platform.system(), platform.machine())
    assert (environment["cpu_threads"], environment["word_size"]) == (os.cpu_count(), 64)
    assert person.run("tell(rx.default_session())", RXINFER_TELEMETRY="off") == [None]


def test_b2_own_sessions_for_a_call_or_for_all(person: Person) -> None:
    code = program("manual_own_sessions")
    assert person.run(code) == [1, 2, None]


def test_b3_statistics_of_each_label(person: Person) -> None:
    code = program("manual_statistics")
    *figures, keys, invokes, durations, least, most, total, none, rate = person.run(code)
    assert figures == [3, 2, 1, 2 / 3]
    assert {"model_name", "model", "data", "error", "error_message", "iterations"} <= set(keys)
    assert (invokes, none, rate) == (3, 0, 0.0)
    assert (least, most, total) == (min(durations), max(durations), pytest.approx(sum(durations)))
    assert least > 0


def test_b4_a_ring_of_recent_invokes(person: Person) -> None:
    code = """
        tell(rx.default_session().capacity, rx.DEFAULT_SESSION_STATS_CAPACITY)
        rx.set_session_stats_capacity(2)
    """
    assert person.run(code) == [1000, 1000]
    code = """
        for steps in range(5):
            with rx.telemetry.invoke("inference") as invoke: invoke.add(iterations=steps)
        s = rx.get_session_stats()
        kept = [one.context["iterations"] for one in s.invokes]
        tell(rx.default_session().capacity, s.total_invokes, kept)
    """
    assert person.run(code) == [2, 5, [3, 4]]  # the most recent ones
    code = """
        try: rx.set_session_stats_capacity(0)
        except ValueError as error: tell(str(error))
    """
    [message] = person.run(code)
    assert "1 to 1,000,000" in message
    assert person.run("tell(rx.default_session().capacity)") == [2]


def test_b5_an_invoke(person: Person) -> None:
    code = program("manual_invokes")
    assert person.run(code) == [
        "unknown",
        "success",
        "error",
        True,
        "UTC",
        True,
        True,
        "ValueError",
    ]


def test_b6_an_error_is_recorded_and_raised_again_unchanged(person: Person) -> None:
    code = program("manual_errors")
    assert person.run(code) == [True, 2, "KeyError"]


def test_b7_context_is_appended_and_an_error_in_doing_so_is_recorded(person: Person) -> None:
    code = """
        with rx.telemetry.invoke("inference") as invoke:
            rx.append_invoke_context(invoke, lambda: {"iterations": 7})
            rx.append_invoke_context(invoke, lambda: {"iterations": 1 // 0})
        tell(invoke.context, invoke.dropped, invoke.status)
    """
    assert person.run(code) == [
        {"iterations": 7},
        {"context": "ZeroDivisionError while making it"},
        "success",
    ]


def test_b8_data_is_described_and_not_kept(person: Person) -> None:
    code = """
        import numpy
        infer(data={"y": numpy.array(rx.nile()) + 867_530_000})  # no time and no id has 867531160
        log = json.dumps(rx.default_session().to_dict())
        tell(rx.get_session_stats().invokes[-1].context["data"], "867531160" in log)
    """
    described, leaked = person.run(code)
    [entry] = described["entries"]
    assert entry == {
        "name": "y",
        "type": "ndarray",
        "shape": [100],
        "element_type": "float64",
        "element_bytes": 8,
        "nbytes": 800,
    }
    assert not leaked


def test_b9_many_threads_lose_nothing(person: Person) -> None:
    code = program("manual_threads")
    assert person.run(code) == [16_000]


def test_b10_reset_and_a_warning_of_unknown_labels(person: Person) -> None:
    code = program("manual_reset")
    [[warning], totals] = person.run(code)
    assert "'nothing'" in warning
    assert totals == [1, 0, 0]


def test_b11_a_printed_summary(person: Person) -> None:
    code = """
        for count in range(7): infer()
        trend = rx.local_linear_trend(level_var=1.0, slope_var=1.0, obs_var=1.0)
        list(rx.infer_stream(model=trend, datastream=[1, 2, 3]))
        summary = rx.summarize_session()
        tell(str(summary), str(rx.summarize_session(n_last=2)), summary._repr_html_())
    """
    five, two, page = person.run(code)
    rows = [line for line in five.splitlines() if re.match(r"  [0-9a-f]{8} ", line)]
    assert len(rows) == 5
    assert "local_linear_trend" in rows[0]  # the newest first
    assert len([line for line in two.splitlines() if re.match(r"  [0-9a-f]{8} ", line)]) == 2
    assert re.search(r"Distinct model_name +2\n", five)
    assert re.search(r"ID +OK +Duration +Model +Data +Init +Learn +Steps +Energy +Error", five)
    assert "✓ success or yes   ✗ error or no" in five
    assert page.count("<tr>") >= 6
    assert (
        "yes success or yes"
        in person.run("infer(); tell(str(rx.summarize_session()))", PYTHONIOENCODING="ascii")[0]
    )


def test_b12_readable_representations(person: Person) -> None:
    code = (
        "infer(); s = rx.get_session_stats(); tell(*map(repr, [rx.default_session(), s, "
        "s.invokes[0]]))"
    )
    session, stats, invoke = person.run(code)
    assert re.fullmatch(r"Session\([0-9a-f-]{36}, rxinfer, inference: 1\)", session)
    assert re.fullmatch(
        r"SessionStats\('inference', 1 invokes, 100.0% success, [\d.]+ ms in all\)", stats
    )
    assert invoke.startswith("SessionInvoke('inference', success, ")


def test_b13_logging_is_turned_off_and_on_for_good(person: Person) -> None:
    assert person.run("rx.disable_session_logging(); infer(); tell(rx.default_session())") == [None]
    assert person.run("infer(); tell(rx.default_session())") == [None]
    assert person.run(
        "rx.enable_session_logging(); infer(); tell(rx.get_session_stats().total_invokes)"
    ) == [1]
    assert person.run("tell(rx.default_session() is not None)") == [True]


def test_c1_sharing_is_opt_in_and_no_author_can_turn_it_on(person: Person) -> None:
    code = "d = rx.telemetry.status().decisions['automatic_sharing']; tell(d.allowed, d.rule)"
    person.point_at("https://telemetry.example.org/x")
    assert person.run(code) == [False, "default"]
    settable = {
        *inspect.signature(Telemetry).parameters,
        *inspect.signature(type(CONTRACT)).parameters,
    }
    assert not {name for name in settable if "shar" in name or "session" in name}
    person.run("rx.enable_automatic_session_sharing()")
    assert person.run(code) == [True, "preferences"]
    assert person.run(code, CI="true") == [False, "CI"]


def test_c2_two_bars(person: Person) -> None:
    with loopback() as server:
        person.point_at(server.endpoint)
        code = PRELUDE + "infer(); rx.share_session_data()"
        env = {**person.environment, "TERM": "xterm-256color", "PLAINTALLY": "off"}
        seen = see_at_terminal(
            [sys.executable, "-c", code], env={**env, "RXINFER_TELEMETRY": "on"}, cwd=person.home
        )
        silent = PRELUDE + "infer(); rx.share_session_data(show_progress=False)"
        assert (
            see_at_terminal(
                [sys.executable, "-c", silent],
                env=env | {"RXINFER_TELEMETRY": "on"},
                cwd=person.home,
            )
            == ""
        )
    assert re.search(r"statistics.*\x1b\[34m.*2/2", seen)  # blue
    assert re.search(r"runs.*\x1b\[32m.*1/1", seen)  # green


def test_c3_without_endpoint_or_session_a_warning(person: Person) -> None:
    code = program("manual_warnings")
    warned, *rest = person.run(code)
    reasons = ["there is no endpoint to share it with", "rxinfer keeps no session"]
    assert warned == [f"nothing was shared: {reason}" for reason in reasons]
    assert rest == [*reasons, {}, {}]


def test_c4_afterwards_the_id_thanks_and_an_issue(person: Person) -> None:
    with loopback() as server:
        person.point_at(server.endpoint)
        code = """
            infer()
            result = rx.share_session_data(show_progress=False)
            tell(str(result), result.session_id, result.issue_url, result.complete)
        """
        said, identifier, issue, complete = person.run(code)
    assert said.startswith("Thank you.")
    assert identifier in said
    assert issue in said
    assert identifier in issue
    assert complete


def test_c4_a_warning_if_only_a_part_could_be_shared(person: Person) -> None:
    rejected = error(400, "The field iterations is too large.", "INVALID_ARGUMENT")
    with loopback(OK, rejected, OK, rejected, OK) as server:
        person.point_at(server.endpoint)
        code = """
            infer(); infer(); infer()
            result = rx.share_session_data(show_progress=False)
            tell(str(result), result.session_id, result.complete, result.shared, result.failed)
        """
        said, identifier, complete, shared, failed = person.run(code, LOG_USING_RXINFER="off")
    assert not complete
    assert (shared, failed) == (
        {"sessions": 1, "session_stats": 1, "invokes": 2},
        {"invokes": 1},
    )
    assert "Only a part could be shared" in said
    assert identifier in said


def test_c5_documents_refer_to_their_parents_and_sharing_again_updates(
    person: Person, collector: Collector
) -> None:
    code = """
        infer(); first = rx.share_session_data(show_progress=False)
        infer(); again = rx.share_session_data(show_progress=False)
        tell(first.shared, again.shared, again.failed, again.session_id)
    """
    first, again, failed, identifier = person.run(code)
    assert first == {"sessions": 1, "session_stats": 1, "invokes": 1}
    assert (again, failed) == ({"sessions": 1, "session_stats": 1, "invokes": 2}, {})
    tree = collector.store.session_tree(identifier)
    assert tree.session is not None
    created_at = tree.session.fields["created_at"]
    assert created_at == created_at.replace(minute=0, second=0, microsecond=0)
    [(stats, invokes, _)] = tree.stats
    assert stats.fields["session"] == identifier
    assert stats.fields["total_invokes"] == 2
    assert [invoke.fields["session_stats"] for invoke in invokes] == [stats.fields["id"]] * 2


def test_c6_automatic_sharing(person: Person) -> None:
    with loopback() as server:
        person.point_at(server.endpoint)
        person.run("rx.enable_automatic_session_sharing()")
        person.run("infer(); infer()", RXINFER_TELEMETRY="on", LOG_USING_RXINFER="off")
        wait_until_gone(str(person.home))
        sent = b"".join(request for request in server.requests if b":commit" in request)
        assert sent.count(b"/documents/invokes/") == 2
        person.run("rx.disable_automatic_session_sharing(); infer()")
        wait_until_gone(str(person.home))
        assert b"".join(request for request in server.requests if b":commit" in request) == sent
    person.point_at("http://127.0.0.1:1/v1/projects/p/databases/(default)/documents")
    person.run("rx.enable_automatic_session_sharing()")
    # A failure is neither raised nor told.
    assert person.run("infer()", RXINFER_TELEMETRY="on") == []
    wait_until_gone(str(person.home))


def test_c7_only_metadata_leaves(person: Person) -> None:
    with loopback() as server:
        person.point_at(server.endpoint)
        person.run("""
            flows = [1234.5, 2345.25, 3456.125] * 9
            infer(data={"y": flows})
            try: infer(data={"y": flows, "secret": flows})
            except ValueError: pass
            rx.share_session_data(show_progress=False)
        """)
        sent = b"".join(server.requests)
    for shared in (b"/documents/invokes/", b"local_level", b"ValueError"):
        assert shared in sent
    for secret in (
        b"1234.5",
        b"2345.25",
        b"10000",
        b"secret",
        b"Normal(",
        str(person.home).encode(),
    ):
        assert secret not in sent


def test_c8_what_would_leave_can_be_seen(person: Person) -> None:
    with loopback() as server:
        person.point_at(server.endpoint)
        code = (
            "infer(); tell(rx.telemetry.preview().content.decode()); "
            "rx.share_session_data(show_progress=False)"
        )
        [shown] = person.run(code, LOG_USING_RXINFER="off")
        assert b"".join(server.requests).decode() == shown
        assert shown.count("/documents/invokes/") == 1


def shared_session(person: Person) -> tuple[str, str]:
    """The id and the deletion key of a session with two runs that was shared."""
    code = (
        "infer(); infer(); r = rx.share_session_data(show_progress=False); tell(r.session_id, "
        "r.deletion_key)"
    )
    identifier, key = person.run(code)
    return identifier, key


def test_c9_deletion_with_the_key_at_once_and_without_it_by_a_maintainer(
    person: Person, collector: Collector, tmp_path: Path
) -> None:
    with_key, key = shared_session(person)
    without, _ = shared_session(person)
    forget = [sys.executable, "-m", "plaintally", "forget", "--package", "rxinfer"]
    for command, typed, told in (
        ([*forget, with_key, "--key-file", "-"], "wrong", "refused"),
        ([*forget, with_key, "--key-file", "-"], key, "4 documents"),
        ([*forget, without], "", "waits for the maintainers"),
    ):
        done = subprocess.run(
            command,
            env=person.environment,
            cwd=person.home,
            input=typed,
            capture_output=True,
            text=True,
            check=False,
        )
        assert told in done.stdout + done.stderr
    assert collector.store.session_tree(with_key).session is None
    assert collector.store.session_tree(without).session is not None
    base = ["--database", str(collector.database)]
    assert without in run_server(tmp_path, "forget", "list", *base).stdout
    assert "documents   4" in run_server(tmp_path, "forget", "approve", without, *base).stdout
    assert collector.store.session_tree(without).session is None
    content = b"".join(path.read_bytes() for path in tmp_path.glob("collector.sqlite3*"))
    assert without.encode() not in content
    assert key.encode() not in content
    by_form, _ = shared_session(person)
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    form = f"session={by_form}".encode()
    assert collector.request("POST", "/forget", form, headers).status == 200  # the anonymous form
    assert collector.store.session_tree(by_form).session is not None
    assert by_form in run_server(tmp_path, "forget", "list", *base).stdout


def test_c10_an_id_lets_maintainers_help(
    person: Person, collector: Collector, tmp_path: Path
) -> None:
    code = (
        "infer(); r = rx.share_session_data(show_progress=False); tell(r.session_id, "
        "str(rx.summarize_session()))"
    )
    identifier, own = person.run(code)
    contract = ["--contract", str(tmp_path / "contract.json")]
    shown = run_server(
        tmp_path, "lookup", identifier, "--database", str(collector.database), *contract
    ).stdout
    # Those of a shared session begin at its full hour.
    times = re.compile(r"\b[0-9]{2}:[0-9]{2}(?::[0-9]{2})?\b")
    assert times.sub("TIME", shown) == times.sub("TIME", own) + "\n"
    assert re.search(r", since [0-9-]{10} [0-9]{2}:00 UTC", shown)


def test_c11_the_aggregate_is_public(person: Person, collector: Collector) -> None:
    """The imports of each day are on the page without a token. Statistics of sessions are not."""
    for _ in range(3):
        person.run("")
    wait_until_gone(str(person.home))
    identifier, _ = shared_session(person)
    wait_until_gone(str(person.home))
    today = datetime.now(UTC).date()
    answered = collector.request("GET", "/packages/rxinfer")
    assert answered.status == 200
    page = answered.body.decode()
    [total] = re.findall(r'<strong id="total">(\d+)</strong>', page)
    rows = re.findall(
        r'<tr><th scope="row"><time datetime="([0-9-]+)">.*?"figure">(\d+)</td>', page
    )
    assert (total, rows) == ("4", [(str(today), "4")])
    for private in (identifier, "local_level", "inference"):
        assert private not in page


def test_d_the_developers_functions(person: Person) -> None:
    assert rxinfer_py.to_firestore_value is firestore.to_value
    assert rxinfer_py.to_firestore_document is firestore.to_document
    session = Session("rxinfer", contract=CONTRACT)
    with session.invoke("inference") as invoke:
        invoke.add(model_name="local_level", learn=True)
    assert isinstance(invoke, SessionInvoke)
    stats = session.stats("inference")
    found: Any = read_session(rxinfer_py.to_firestore_session(session))
    shift = timedelta(microseconds=session.shift_us)
    assert (found.id, found.environment) == (session.id, session.environment)
    assert found.created_at == session.created_at - shift
    found, parent = read_stats(
        rxinfer_py.to_firestore_session_stats(stats, session.id), Session("rxinfer")
    )
    assert isinstance(found, SessionStats)
    assert parent == session.id
    for name in ("id", "label", "total_invokes", "success_rate", "min_duration_ms", "context_keys"):
        assert getattr(found, name) == getattr(stats, name)
    found, parent = read_invoke(rxinfer_py.to_firestore_invoke(invoke, stats.id), stats)
    assert parent == stats.id
    for name in ("id", "status", "duration_ms", "context"):
        assert getattr(found, name) == getattr(invoke, name)
    assert found.execution_start == invoke.execution_start - shift
    empty = rxinfer_py.to_firestore_session_stats(session.stats("other"), session.id)["fields"]
    assert empty["min_duration_ms"] == empty["max_duration_ms"] == {"doubleValue": 0.0}
    assert firestore.to_value(person) == {"stringValue": "Person"}
