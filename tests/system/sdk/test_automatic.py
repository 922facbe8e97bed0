"""Automatic sharing: off unless the user wants it, and then without the host's noticing."""

import os
import re
import signal
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest

from golden import Golden
from hosts import (
    LEFT_BEHIND,
    MARKER,
    PACKAGE,
    MakeHost,
    in_sub_interpreter,
    make_host,
    make_patient,
    senders,
    trace,
    wait_until_gone,
)
from loopback import OK, Loopback, answer, loopback
from plaintally.sharing import relay
from programs import program
from streams import ENABLE, contexts, host_code, run, shared, told
from waiting import wait_until


@pytest.mark.linux
@pytest.mark.parametrize("end", ["pass", "os._exit(0)", "os.kill(os.getpid(), signal.SIGKILL)"])
def test_what_ended_is_shared_however_the_host_ends(host: MakeHost, end: str) -> None:
    with loopback() as server:
        made = host()
        code = host_code(ENABLE + "for index in range(2500): fit(index)\n" + end)
        made.run(code, env={"ENDPOINT": server.endpoint, MARKER: str(made.folder)})
        wait_until_gone(str(made.folder))
        found = shared(server)
    assert sorted(int(fields["steps"]["integerValue"]) for fields in contexts(found)) == list(
        range(2500)
    )
    [stats] = found["session_stats"].values()
    [session] = found["sessions"].values()
    everything = [one for documents in found.values() for one in documents.values()]
    assert all(one["deletion_key_hash"] == session["deletion_key_hash"] for one in everything)
    assert stats["total_invokes"] == {"integerValue": "2500"}
    assert list(found["sessions"]) == [stats["session"]["stringValue"]]
    assert b"secret" not in b"".join(server.requests)
    assert len(server.requests) <= 12  # in batches


@pytest.mark.linux
@pytest.mark.strace
def test_it_is_off_unless_the_user_turns_it_on(host: MakeHost, tmp_path: Path) -> None:
    made = host()
    endpoint = "https://telemetry.example.org/v1/projects/p/databases/(default)/documents"
    seen = trace(made, tmp_path, host_code("fit(1)"), env={"ENDPOINT": endpoint})
    assert seen.processes_and_threads == seen.sockets == seen.written_files == []
    assert (
        run(made, endpoint, "print(telemetry.status().decisions['automatic_sharing'].rule)")
        == "default\n"
    )
    asked = "print(telemetry.enable_automatic_sharing().allowed)"
    assert run(made, endpoint, asked, CI="true") == "True\n"  # said in this process
    assert "automatic_sharing = true" in made.choices.read_text()
    told = "d = telemetry.status().decisions['automatic_sharing']; print(d.allowed, d.rule)"
    assert run(made, endpoint, told) == "True preferences\n"
    assert run(made, endpoint, told, CI="true") == "False CI\n"
    assert run(made, endpoint, told, DO_NOT_TRACK="1") == "False do-not-track variable\n"
    run(made, endpoint, "telemetry.disable_automatic_sharing()")
    assert run(made, endpoint, told) == "False preferences\n"


@pytest.mark.linux
def test_a_persistent_yes_shares_at_the_next_start_and_a_no_ends_it_at_once(host: MakeHost) -> None:
    with loopback() as server:
        made = host()
        made.prefer(f"[packages.{PACKAGE}]\nautomatic_sharing = true\n")
        with told(made, server, preparation="") as tell:
            tell("fit(1)")
            server.wait_for(2)
            tell("telemetry.disable_automatic_sharing(persist=False); fit(2)")
        wait_until_gone(str(made.folder))
        assert [fields["steps"] for fields in contexts(shared(server))] == [{"integerValue": "1"}]


@pytest.mark.linux
@pytest.mark.parametrize(
    ("failure", "requests"),
    [
        (answer(503), 1),
        (answer(200, body=b"<html>Log in</html>"), 1),
        (answer(302, "Location: http://portal.example/"), 1),
        (answer(403, body=b"<html>Blocked</html>"), 2),  # the documents are tried one by one
    ],
)
def test_while_no_collector_answers_it_is_asked_once_a_minute(
    host: MakeHost, failure: bytes, requests: int
) -> None:
    with loopback(failure) as server:
        made = make_patient(host())
        with told(made, server) as tell:
            tell("fit(0)")
            server.wait_for(requests)
            tell("for index in range(1, 20): fit(index)")
            time.sleep(2 * relay.GATHER_S)  # the runs would have been sent by then
            assert len(server.requests) == requests
            server.answers[:] = [OK]  # before the relay tries again
            server.requests.clear()
        wait_until_gone(str(made.folder))
        assert len(contexts(shared(server))) == 20  # nothing was lost


@pytest.mark.linux
def test_a_sender_that_does_not_read_costs_invokes_and_no_time(host: MakeHost) -> None:
    """It is stopped, then ended, and the host lets itself be ended by a broken pipe, as scripts
    do."""
    made = host()
    with loopback() as server:
        process = made.start(
            host_code(ENABLE + program("automatic_slow_reader")),
            env={"ENDPOINT": server.endpoint, MARKER: str(made.folder)},
        )
        assert process.stdin
        assert process.stdout
        host_pid = int(process.stdout.readline())
        server.wait_for(1)
        relays = [pid for pid in senders(str(made.folder)) if pid != host_pid]
        for pid in relays:
            os.kill(pid, signal.SIGSTOP)
        process.stdin.write(b"\n")
        process.stdin.flush()
        sent, dropped = map(int, process.stdout.readline().split())
        assert sent + dropped == 20_001
        assert dropped > 10_000
        for pid in relays:
            os.kill(pid, signal.SIGKILL)
        process.stdin.write(b"\n")
        process.stdin.flush()
        assert process.communicate()[0] == b"alive\n"
        assert process.returncode == 0
        wait_until_gone(str(made.folder))


@pytest.mark.linux
def test_the_relay_gets_path_proxies_and_certificates_of_the_environment(host: MakeHost) -> None:
    made = host()
    with loopback(held=True) as server:
        process = made.start(
            host_code(ENABLE + "fit(0); print(os.getpid(), flush=True); sys.stdin.readline()"),
            env={
                "ENDPOINT": server.endpoint,
                MARKER: str(made.folder),
                "AWS_SECRET_ACCESS_KEY": "canary",
            },
        )
        assert process.stdout
        host_pid = int(process.stdout.readline())
        server.wait_for(1)
        [relay] = [pid for pid in senders(str(made.folder)) if pid != host_pid]
        given = Path(f"/proc/{relay}/environ").read_bytes().split(b"\0")
        os.kill(relay, signal.SIGKILL)
        process.communicate(b"\n")
    assert {entry.partition(b"=")[0] for entry in given if entry} == {b"PATH", MARKER.encode()}


@pytest.mark.linux
def test_a_forked_process_shares_a_session_of_its_own(host: MakeHost) -> None:
    with loopback() as server:
        made = host()
        code = ENABLE + "fit(1)\npid = os.fork()\nfit(2)\nif pid: os.waitpid(pid, 0)"
        done = made.run(
            host_code(code), env={"ENDPOINT": server.endpoint, MARKER: str(made.folder)}
        )
        assert done.returncode == 0, done.stderr
        wait_until_gone(str(made.folder))
        found = shared(server)
    assert len(found["sessions"]) == 2
    totals = sorted(
        stats["total_invokes"]["integerValue"] for stats in found["session_stats"].values()
    )
    assert totals == ["1", "2"]
    assert len(found["invokes"]) == 3


def test_a_host_that_closes_all_descriptors_is_not_written_into(host: MakeHost) -> None:
    with loopback() as server:
        made = host()
        code = program("automatic_closed_descriptors")
        assert run(made, server, ENABLE + textwrap.dedent(code)) == "True\n"


@pytest.mark.linux
def test_the_interpreter_beside_the_library_shares_for_a_program_that_embeds_python(
    host: MakeHost,
) -> None:
    with loopback() as server:
        made = host()
        run(made, server, "sys.executable = None\n" + ENABLE + "fit(1)")
        wait_until_gone(str(made.folder))
        assert len(contexts(shared(server))) == 1


@pytest.mark.linux
def test_a_host_with_more_open_files_than_select_can_take(host: MakeHost) -> None:
    with loopback() as server:
        code = program("automatic_many_files")
        made = host()
        run(made, server, textwrap.dedent(code))
        wait_until_gone(str(made.folder))
        assert len(contexts(shared(server))) == 1


@pytest.mark.linux
def test_after_opting_out_no_descriptor_thread_or_child_is_left(host: MakeHost) -> None:
    """The numbers of the pipe are free for the host's own connections."""
    preparation = f"import socket\n{LEFT_BEHIND}\nbefore = os.listdir('/proc/self/fd')\n{ENABLE}"
    code = program("automatic_nothing_left")
    with loopback(held=True) as server, told(host(), server, preparation=preparation) as tell:
        tell("fit(1)")
        server.wait_for(1)
        tell("telemetry.disable_automatic_sharing(persist=False)")
        tell(f"exec({textwrap.dedent(code)!r})")


@pytest.mark.linux
def test_where_sh_fails_nothing_is_shared(host: MakeHost) -> None:
    """That it fails after it was started is not seen."""
    script = 'mount --bind /bin/false "$(readlink -f /bin/sh)" && exec "$@"'
    with loopback() as server:
        done = host().run(
            host_code(ENABLE + "fit(1)\ntime.sleep(2)"),
            env={"ENDPOINT": server.endpoint},
            before=("unshare", "--mount", "--map-root-user", "sh", "-c", script, "sh"),
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
        assert server.requests == []


@pytest.mark.parametrize(
    ("obstacle", "preparation"),
    [
        ("frozen", "sys.frozen = True"),
        ("Windows", "sys.platform = 'win32'"),
        (
            "no shell",
            (
                "before = os.access\n"
                "os.access = lambda path, mode: path != '/bin/sh' and before(path, mode)"
            ),
        ),
    ],
)
def test_where_no_relay_can_be_started_the_decision_and_status_say_so(
    host: MakeHost, golden: Golden, obstacle: str, preparation: str
) -> None:
    code = f"{preparation}\n{program('automatic_obstacle')}"
    with loopback() as server:
        printed = run(host(), server, code)
    golden.check("status-automatic.txt", printed, part=obstacle)
    assert server.requests == []


@pytest.mark.linux
def test_a_relay_that_the_system_refuses_to_start_is_reported(host: MakeHost) -> None:
    code = program("automatic_refused_relay")
    with loopback() as server:
        assert run(host(), server, textwrap.dedent(code)) == "1\n"


@pytest.mark.linux
@pytest.mark.parametrize(("preparation", "shares"), [("pass", True), ("sys.frozen = True", False)])
def test_a_sub_interpreter_shares_without_a_thread(
    host: MakeHost,
    preparation: str,
    shares: bool,  # noqa: FBT001
) -> None:
    with loopback() as server:
        made = host()
        code = host_code(
            f"{preparation}\n{ENABLE}fit(1)\nassert (telemetry.session.sink is not None) == "
            f"{shares}"
        )
        done = made.run(
            in_sub_interpreter(code), env={"ENDPOINT": server.endpoint, MARKER: str(made.folder)}
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, b"None\n", b"")
        wait_until_gone(str(made.folder))
        assert len(contexts(shared(server))) == shares


@pytest.mark.smoke
def test_its_wire_is_that_of_sharing(each_python: Any, tmp_path: Path) -> None:  # noqa: ANN401
    """What was shared automatically is what `share` sends afterwards."""
    with loopback() as server:
        before = Loopback([])
        after = Loopback([])
        with told(make_host(each_python, tmp_path), server) as tell:
            tell("for index in range(3): fit(index)")
            wait_until(lambda: len(contexts(shared(server))) == 3)
            before.requests = server.requests[:]
            tell("telemetry.share(show_progress=False)")
            after.requests = server.requests[len(before.requests) :]
        assert shared(before) == shared(after)
        assert not re.search(rb"secret", b"".join(server.requests))


@pytest.mark.linux
def test_off_is_off_for_every_session_of_the_package(host: MakeHost) -> None:
    """Those that were made before, those that are used no more, and those whose address was taken
    away."""
    with loopback() as server:
        made = host()
        code = program("automatic_off_for_all")
        run(made, server, ENABLE + textwrap.dedent(code))
        wait_until_gone(str(made.folder))
        assert server.requests == []


def test_no_more_runs_of_a_label_are_sent_than_a_collector_keeps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(relay, "MAX_RUNS", 3)
    with loopback() as server:
        address = ("http", "127.0.0.1", server.port, "/v1/projects/p/databases/(default)/documents")
        fields = {"deletion_key_hash": {"stringValue": "0" * 64}}
        source, sink = os.pipe()
        batch = relay.Batch(source, address, "pkg", "session", {"fields": fields})
        for number in range(1, 6):
            batch.add(
                ("stats", "fit", (number, number, 0, 0.0, 0.0, 0.0), ()),
                (f"run{number}", "success", 0, 0, {}),
            )
            assert batch.send()
            assert list(batch.parents) == list(batch.waiting) == []
        os.close(source)
        os.close(sink)
        found = shared(server)
    assert list(found["invokes"]) == ["run1", "run2", "run3"]
    assert found["session_stats"]["stats"]["total_invokes"] == {"integerValue": "5"}


@pytest.mark.parametrize(
    ("retry_after", "wait_s"), [("", 60), ("Retry-After: 5", 60), ("Retry-After: 600", 600)]
)
def test_a_relay_waits_a_minute_or_as_long_as_the_server_asks(
    retry_after: str, wait_s: float
) -> None:
    fields = {"deletion_key_hash": {"stringValue": "0" * 64}}
    source, sink = os.pipe()
    with loopback(answer(503, *filter(None, [retry_after]))) as server:
        address = ("http", "127.0.0.1", server.port, "/v1/projects/p/databases/(default)/documents")
        batch = relay.Batch(source, address, "pkg", "session", {"fields": fields})
        batch.add(("stats", "fit", (1, 1, 0, 0.0, 0.0, 0.0), ()), ("run1", "success", 0, 0, {}))
        began = time.monotonic()
        assert batch.send()
        ended = time.monotonic()
    os.close(source)
    os.close(sink)
    assert began + wait_s <= batch.due_s <= ended + wait_s
    assert list(batch.waiting) == ["run1"]
