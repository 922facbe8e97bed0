"""The process that shares automatically: what it drops when the user opts out, and when it ends."""

import contextlib
import os
import signal
import subprocess
import textwrap
import time
import zipfile
from pathlib import Path

import pytest

import plaintally
from hosts import MARKER, Host, Interpreter, MakeHost, make_host, senders
from loopback import OK, Loopback, answer, loopback
from plaintally.sharing import relay
from plaintally.sharing.automatic import frame
from programs import program
from streams import ENABLE, Told, contexts, host_code, shared, told
from waiting import PATIENCE_S, wait_until

pytestmark = pytest.mark.linux
OPT_OUTS = (
    "telemetry.disable_automatic_sharing(persist=False)",
    "telemetry.disable_session_logging()",
    "telemetry.set_endpoint(None)",
    "telemetry.set_endpoint(os.environ['OTHER'])",
)


def steps(server: Loopback) -> list[int]:
    return sorted(int(fields["steps"]["integerValue"]) for fields in contexts(shared(server)))


@pytest.mark.parametrize("opt_out", OPT_OUTS)
def test_after_opting_out_nothing_is_sent_but_the_request_in_flight(
    host: MakeHost, opt_out: str
) -> None:
    check_opting_out(host(), opt_out)


@pytest.mark.smoke
def test_opting_out_on_every_python(each_python: Interpreter, tmp_path: Path) -> None:
    check_opting_out(make_host(each_python, tmp_path), OPT_OUTS[0])


def check_opting_out(host: Host, opt_out: str) -> None:
    with (
        loopback(held=True) as server,
        loopback() as other,
        told(host, server, other=other.endpoint) as tell,
    ):
        tell("for index in range(2500): fit(index)")
        server.wait_for(1)
        tell(opt_out)
        server.release.set()
        tell.wait_for_relays(0)
        assert len(server.requests) == 1
        tell("telemetry.enable_session_logging(); telemetry.set_endpoint(os.environ['OTHER'])")
        tell(ENABLE.strip())
        tell("fit(7)")
        other.wait_for(2)
        assert steps(other) == [7]
        assert len(server.requests) == 1


def test_runs_that_end_while_a_request_is_under_way_are_gathered_too(host: MakeHost) -> None:
    with loopback() as server, told(host(), server) as tell:
        began_s = time.monotonic()
        tell("for index in range(1500): fit(index); time.sleep(0.002)")
        wait_until(lambda: steps(server) == list(range(1500)), pause_s=0.1)
        seconds = (time.monotonic() - began_s) / relay.GATHER_S
        assert len(server.requests) < 20 + 2 * seconds  # one for the parents and one for the runs


@pytest.mark.parametrize("end", ["pass", "os._exit(0)"])
def test_a_batch_that_waits_for_its_next_try_is_dropped(host: MakeHost, end: str) -> None:
    with loopback(answer(503)) as server, told(host(), server) as tell:
        tell("for index in range(50): fit(index)")
        server.wait_for(1)
        server.answers[:] = [OK]
        with contextlib.suppress(AssertionError):
            tell(f"{OPT_OUTS[0]}; {end}")
        tell.wait_for_relays(0)
        assert len(server.requests) == 1


def test_a_relay_that_does_not_read_drops_its_full_pipe(host: MakeHost) -> None:
    """So does one of before, for which the host started another."""
    impatient = "import plaintally.sharing.automatic as a\na._RESTART_AFTER_S = 0.0\n"
    with loopback() as server, told(host(), server, preparation=impatient + ENABLE) as tell:
        tell("fit(0)")
        [relay] = tell.wait_for_relays(1)
        server.wait_for(2)
        os.kill(relay, signal.SIGSTOP)
        tell("for index in range(20_000): fit(index)")
        for pid in tell.wait_for_relays(2):
            os.kill(pid, signal.SIGSTOP)
        time.sleep(0.2)
        seen = len(server.requests)
        tell(OPT_OUTS[0])
        for pid in tell.relays:
            os.kill(pid, signal.SIGCONT)
        tell.wait_for_relays(0)
        assert len(server.requests) - seen <= 1  # which the second may have been sending


def test_opting_out_reaches_a_relay_whose_pipe_a_forked_child_keeps_open(host: MakeHost) -> None:
    with loopback(held=True) as server, told(host(), server) as tell:
        tell("for index in range(2500): fit(index)")
        server.wait_for(1)
        tell("child = os.fork() or time.sleep(60) or os._exit(0)")
        tell(OPT_OUTS[0])
        tell("os.kill(child, signal.SIGSTOP)")
        server.release.set()
        deadline = time.monotonic() + PATIENCE_S
        while len(tell.relays) > 1 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert len(tell.relays) == 1  # the child
        tell("os.kill(child, signal.SIGKILL)")
        assert len(server.requests) == 1


def test_opting_out_ends_an_idle_relay_whose_pipe_a_forked_child_keeps_open(host: MakeHost) -> None:
    with loopback() as server, told(host(), server) as tell:
        tell("fit(1)")
        server.wait_for(2)
        tell("child = os.fork() or time.sleep(60) or os._exit(0)")
        tell.wait_for_relays(2)
        tell(OPT_OUTS[0])
        tell.wait_for_relays(1)
        tell("os.kill(child, signal.SIGKILL)")


def test_a_forked_child_that_opts_out_leaves_its_parent_sharing(host: MakeHost) -> None:
    child = f"not os.fork() and (fit(10_000), {OPT_OUTS[0]}, os._exit(0))"
    with loopback() as server, told(host(), server) as tell:
        tell("fit(1)")
        tell(f"{child}; os.wait()")
        tell("fit(2)")
        wait_until(lambda: {1, 2} <= set(steps(server)))
        time.sleep(1.5 * relay.GATHER_S)  # the child's run would have been sent by then
        assert set(steps(server)) == {1, 2}
        tell.wait_for_relays(1)


def test_a_parent_that_opts_out_leaves_its_forked_child_sharing(host: MakeHost) -> None:
    child = "os.fork() or (time.sleep(1), fit(2), os._exit(0))"
    with loopback() as server, told(host(), server) as tell:
        tell("fit(1)")
        server.wait_for(2)
        tell(f"child = {child}")
        tell(f"{OPT_OUTS[0]}; os.wait()")
        tell.wait_for_relays(0)
        assert steps(server) == [1, 2]


def test_what_a_session_that_is_gone_left_is_dropped_too(host: MakeHost) -> None:
    with loopback(held=True) as server, told(host(), server) as tell:
        tell("telemetry.set_session(telemetry.create_session())")
        tell("for index in range(2500): fit(index)")
        server.wait_for(1)
        tell("telemetry.set_session(None); import gc; gc.collect()")
        time.sleep(0.5)
        tell(OPT_OUTS[0])
        server.release.set()
        tell.wait_for_relays(0)
        assert len(server.requests) == 1


def test_what_a_session_that_is_gone_left_is_shared_otherwise(host: MakeHost) -> None:
    with loopback() as server, told(host(), server) as tell:
        for number in range(3):
            tell("telemetry.set_session(telemetry.create_session())")
            tell(f"fit({number}); telemetry.set_session(None); import gc; gc.collect()")
        tell.wait_for_relays(0)
        assert steps(server) == [0, 1, 2]


@pytest.mark.parametrize("step", ["plaintally.sharing.automatic._widen", "plaintally._spawn.spawn"])
def test_opting_out_in_the_middle_of_a_run_shares_nothing(host: MakeHost, step: str) -> None:
    """A signal handler opts out while its thread starts the relay."""
    module, _, name = step.rpartition(".")
    preparation = program("relay_opt_out_within", MODULE=module, NAME=name, OPT_OUT=OPT_OUTS[0])
    code = "for index in range(5): fit(index)\nassert telemetry.session.sink is None\n"
    with (
        loopback() as server,
        told(host(), server, preparation=ENABLE + textwrap.dedent(preparation) + code) as tell,
    ):
        tell("time.sleep(1.5)")
        tell.wait_for_relays(0)
        assert server.requests == []


# Runs a host in a network of its own, whose name servers take every question and answer none until
# the input ends.
SILENT_NAME_SERVERS = program("relay_silent_name_servers")


@pytest.mark.parametrize(
    ("end", "status"), [("pass", b"0\n"), ("os.kill(os.getpid(), signal.SIGKILL)", b"-9\n")]
)
@pytest.mark.parametrize(
    "work", ["telemetry.count_import()", ENABLE + "fit(1)"], ids=["sender", "relay"]
)
def test_a_detached_process_ends_soon_after_its_host_whatever_name_servers_do(
    host: MakeHost, work: str, end: str, status: bytes
) -> None:
    """A look-up takes 28 seconds here, and cannot be ended."""
    code = f"signal.signal(signal.SIGTERM, signal.SIG_IGN)\n{work}\ntime.sleep(1.5)\n{end}"
    made = host()
    silent = (
        "unshare",
        "--mount",
        "--net",
        "--map-root-user",
        str(made.interpreter.python),
        "-c",
        SILENT_NAME_SERVERS,
    )
    endpoint = "https://collector.example.org/v1/projects/p/databases/(default)/documents"
    env = {"ENDPOINT": endpoint, MARKER: str(made.folder)}
    with made.start(host_code(code), before=silent, env=env) as process:
        tell = Told(made, process)
        assert process.stdout
        assert process.stdout.readline() == status
        began = time.monotonic()
        assert tell.relays
        while tell.relays and time.monotonic() < began + 60:
            time.sleep(0.1)
        assert time.monotonic() - began < 20


def test_the_relay_ends_with_a_host_that_has_become_another_program(host: MakeHost) -> None:
    with loopback() as server:
        made = host()
        code = ENABLE + "fit(1)\nos.execvp('sleep', ['sleep', '30'])"
        process = made.start(
            host_code(code), env={"ENDPOINT": server.endpoint, MARKER: str(made.folder)}
        )
        server.wait_for(2)
        Told(made, process).wait_for_relays(0)
        assert process.poll() is None
        process.kill()
        process.communicate()
        assert steps(server) == [1]


def test_the_relay_ends_though_a_forked_child_keeps_the_pipe_of_a_host_that_nobody_waits_for(
    host: MakeHost,
) -> None:
    """The host is a zombie then, which a signal still reaches."""
    code = (
        ENABLE + "fit(1)\nif not os.fork():\n    os.kill(os.getpid(), signal.SIGSTOP)\nos._exit(0)"
    )
    with loopback() as server:
        made = host()
        process = made.start(
            host_code(code), env={"ENDPOINT": server.endpoint, MARKER: str(made.folder)}
        )
        Told(made, process).wait_for_relays(1)  # the child
        assert steps(server) == [1]
        for pid in senders(str(made.folder)):
            os.kill(pid, signal.SIGKILL)
        process.communicate()


def test_where_no_process_descriptors_are_the_relay_looks_for_its_host(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(os, "pidfd_open")
    monkeypatch.setattr(relay, "LOOK_S", 0.05)
    source, sink = os.pipe()
    with subprocess.Popen(["sleep", "60"]) as child:
        os.write(sink, frame(b"one"))
        found = relay.read_frames(source, child.pid)
        assert next(found) == b"one"
        os.write(sink, frame(b"two"))
        child.kill()
        child.wait()
        assert list(found) == [b"two"]
    os.close(source)
    os.close(sink)


def test_a_zipapp_shares_through_a_relay(host: MakeHost, tmp_path: Path) -> None:
    folder = Path(plaintally.__file__).parent
    archive = tmp_path / "app.pyz"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for path in folder.rglob("*.py"):
            file.write(path, Path("plaintally", path.relative_to(folder)))
        file.writestr(
            "__main__.py", host_code(ENABLE + "fit(1)\nprint(telemetry.session.sink.obstacle)")
        )
    with loopback() as server:
        made = host()
        command = [str(made.interpreter.python), "-I", str(archive)]
        env = made.environment({"ENDPOINT": server.endpoint, MARKER: str(made.folder)})
        done = subprocess.run(command, env=env, capture_output=True, timeout=60, check=False)
        assert (done.stdout, done.stderr) == (b"\n", b"")
        server.wait_for(2)
        assert steps(server) == [1]
