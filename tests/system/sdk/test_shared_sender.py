"""One sender for the packages of a process, and at most four in an environment."""

import compileall
import os
import re
import shutil
import signal
import ssl
import subprocess
import sys
import textwrap
import time
import uuid
import zipapp
from pathlib import Path

import pytest
import trustme

from hosts import (
    LEFT_BEHIND,
    MARKER,
    PACKAGE,
    Host,
    Interpreter,
    MakeHost,
    locked,
    locked_files,
    make_host,
    make_patient,
    senders,
    trace,
    wait_until_gone,
)
from loopback import Loopback, loopback
from programs import program
from waiting import PATIENCE_S, wait_until

pytestmark = pytest.mark.linux

SYSTEM_PYTHON = Path("/usr/bin/python3")
# Process ids of its own: on a busy machine, other tests start more than 64 processes between `sh`
# and Python.
OWN_IDS = ("unshare", "--map-root-user", "--pid", "--fork", "--mount-proc")
FLOCK = {
    "flock": (),
    "no flock": (
        "unshare",
        "--mount",
        "--map-root-user",
        "sh",
        "-c",
        'mount --bind /dev/null "$(readlink -f "$(command -v flock)")" && exec "$@"',
        "sh",
    ),
}


def add_package(host: Host, name: str, endpoint: str) -> None:
    folder = host.folder / name
    folder.mkdir(exist_ok=True)
    (folder / "__init__.py").write_text(
        f"from plaintally import Telemetry\nTelemetry({name!r}, "
        f"endpoint={endpoint!r}).count_import()\n"
    )


def add_packages(host: Host, server: Loopback, count: int) -> list[str]:
    """Add packages with an endpoint of their own each, and return their names."""
    names = [f"package{number}" for number in range(count)]
    for name in names:
        add_package(host, name, server.endpoint.replace("/test/", f"/{name}/"))
    return names


def anonymous(requests: list[bytes]) -> set[bytes]:
    """The requests without their ids and the port of the server."""
    identifiers = {
        match
        for request in requests
        for match in re.findall(rb"documentId=([0-9a-f-]{36})", request)
    }
    assert len(identifiers) == len(requests)
    return {re.sub(rb"[0-9a-f-]{36}|127.0.0.1:\d+", b"", request) for request in requests}


def packages_of(server: Loopback) -> set[str]:
    return {re.findall(rb"using_(\w+)\?", request)[0].decode() for request in server.requests}


def wait_for_packages(server: Loopback, names: list[str]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while packages_of(server) < set(names) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert packages_of(server) == set(names)


def started_senders(host: Host, folder: Path, code: str) -> int:
    """The number of interpreters that a host starts."""
    programs = trace(host, folder, code, within=OWN_IDS).programs
    return sum("bin/python" in line.partition(", ")[0] for line in programs)


@pytest.mark.strace
def test_ten_packages_start_one_sender(each_python: Interpreter, tmp_path: Path) -> None:
    with loopback() as together, loopback() as alone:
        host = make_host(each_python, tmp_path)
        names = add_packages(host, together, 10)
        assert started_senders(host, tmp_path, f"import {', '.join(names)}") == 1
        assert together.connections == len(together.requests) == 10
        for name in add_packages(host, alone, 10):
            host.run(f"import {name}")
            alone.wait_for(names.index(name) + 1)
        assert anonymous(together.requests) == anonymous(alone.requests)
        assert all(
            request.count(b"POST ") == 1 and b"Connection: close" in request
            for request in together.requests
        )


@pytest.mark.strace
def test_a_slow_shell_is_no_reason_for_another_sender(host: MakeHost, tmp_path: Path) -> None:
    """In a background process, `sh` opens /dev/null as descriptor 0. Nor does `flock` on the way
    replace the pipe."""
    slowly = ("-P", "/dev/null", "-e", "inject=open,openat:delay_exit=200000")
    strace = (*OWN_IDS, shutil.which("strace") or "", "-f", "-o", str(tmp_path / "trace"), *slowly)
    with loopback() as server:
        made = make_patient(host())
        first, *names = add_packages(made, server, 10)
        code = program("shared_sender_ten", FIRST=first, OTHERS=", ".join(names))
        assert made.run(code, before=strace).stdout == b"1\n"
        wait_for_packages(server, [first, *names])


@pytest.mark.strace
def test_no_file_of_another_process_is_looked_at(host: MakeHost, tmp_path: Path) -> None:
    """It may be on a network drive that does not answer, which any look at the file would wait
    for."""
    with loopback() as server:
        made = host()
        names = add_packages(made, server, 3)
        found = trace(made, tmp_path, f"import {', '.join(names)}")
    looks = [line for line in found.lines if re.search(r"/proc/\d+/fd/", line)]
    assert looks
    assert all(re.search(r" (readlink|openat)\(", line) for line in looks)


@pytest.mark.strace
@pytest.mark.parametrize(
    ("between", "count"),
    [("time.sleep(0.3)", 1), ("os.environ['ALL_PROXY'] = 'http://127.0.0.1:9'", 2)],
)
def test_a_sender_serves_one_environment(
    host: MakeHost, tmp_path: Path, between: str, count: int
) -> None:
    with loopback() as server:
        made = make_patient(host())
        first, second = add_packages(made, server, 2)
        code = f"import os, time, {first}; {between}; import {second}"
        assert started_senders(made, tmp_path, code) == count
        assert packages_of(server) == {first, second}


@pytest.mark.strace
def test_a_sender_serves_a_while(host: MakeHost, tmp_path: Path) -> None:
    with loopback() as server:
        made = host()
        first, second = add_packages(made, server, 2)
        code = program("shared_sender_given_up", FIRST=first, SECOND=second)
        assert started_senders(made, tmp_path, code) == 2
        assert packages_of(server) == {first, second}


def test_a_package_that_is_turned_off_is_not_sent_by_the_others_sender(host: MakeHost) -> None:
    with loopback() as server:
        made = host()
        names = add_packages(made, server, 3)
        marker = uuid.uuid4().hex
        made.run(f"import {', '.join(names)}", env={"PACKAGE1_TELEMETRY": "off", MARKER: marker})
        wait_until_gone(marker)
        assert packages_of(server) == {"package0", "package2"}


@pytest.mark.parametrize("end", ["pass", "os._exit(0)", "os.kill(os.getpid(), signal.SIGKILL)"])
def test_an_early_end_loses_nothing(each_python: Interpreter, tmp_path: Path, end: str) -> None:
    with loopback() as server:
        made = make_host(each_python, tmp_path)
        names = add_packages(made, server, 5)
        made.run(f"import os, signal, {', '.join(names)}; {end}")
        wait_for_packages(server, names)


def test_forked_children_use_the_sender_while_their_parent_lives(host: MakeHost) -> None:
    with loopback() as server:
        made = host()
        names = add_packages(made, server, 5)
        python = str(made.interpreter.python)
        code = program(
            "shared_sender_descendants",
            ONE=names[0],
            TWO=names[1],
            THREE=names[2],
            FOUR=names[3],
            PYTHON=repr(python),
            FIVE=names[4],
        )
        assert made.run(code).returncode == 0
        wait_for_packages(server, names)


KILL = program("shared_sender_signals")


@pytest.mark.parametrize("held", [False, True])
def test_after_a_sender_was_killed_the_next_one_delivers(host: MakeHost, held: bool) -> None:  # noqa: FBT001
    marker = uuid.uuid4().hex
    with loopback(held=held) as server:
        made = make_patient(host())
        names = add_packages(made, server, 2)
        code = (
            f"{KILL}\nimport {names[0]}\ninput()\nsignal_sender(signal.SIGKILL)\nimport {names[1]}"
        )
        with made.start(code, env={MARKER: marker}) as process:
            server.wait_for(1)
            process.communicate(b"\n")
        assert process.returncode == 0
        server.release.set()
        wait_for_packages(server, names)


def test_a_sender_that_was_stopped_reads_what_was_handed_over(host: MakeHost) -> None:
    """When it continues, its time is over, and the job is already in the pipe."""
    marker = uuid.uuid4().hex
    with loopback() as server:
        made = host()
        names = add_packages(made, server, 2)
        stopped = program("shared_sender_stopped", FIRST=names[0], SECOND=names[1])
        assert made.run(f"{KILL}\n{stopped}", env={MARKER: marker}).returncode == 0
        wait_for_packages(server, names)


def test_jobs_that_come_as_a_sender_ends_are_delivered(host: MakeHost) -> None:
    """A process imports a package again and again, each time at about the moment in which its
    sender gives up."""
    with loopback() as server:
        made = host()
        names = add_packages(made, server, 12)
        pauses_s = [1 + number * 0.004 for number in range(-3, len(names) - 3)]
        code = "\n".join(
            f"import {name}; time.sleep({pause})"
            for name, pause in zip(names, pauses_s, strict=True)
        )
        assert made.run(f"import time\n{code}").returncode == 0
        wait_for_packages(server, names)


def test_a_hook_that_refuses_files_below_proc(host: MakeHost) -> None:
    with loopback() as server:
        made = host()
        names = add_packages(made, server, 2)
        code = program("shared_sender_no_proc", ONE=names[0], TWO=names[1])
        done = made.run(code)
        assert (done.returncode, done.stderr) == (0, b"")
        wait_for_packages(server, names)


def test_a_host_that_makes_a_container_can_still_fork(host: MakeHost) -> None:
    """The first child is the first process of a namespace, which ends with it."""
    code = program("shared_sender_container")
    with loopback() as server:
        done = host(endpoint=server.endpoint).run(
            code, before=("unshare", "--map-root-user", "--fork")
        )
        assert (done.returncode, done.stderr) == (0, b"")
        assert server.connections == 0


@pytest.mark.parametrize("end", ["chroot", "no descriptors"])
def test_a_host_that_cannot_load_libraries_ends_normally(
    each_python: Interpreter, tmp_path: Path, end: str
) -> None:
    """A thread that outlived the interpreter would need one to end, and abort the process."""
    (tmp_path / "empty").mkdir()
    code = {
        "chroot": f"os.chroot({str(tmp_path / 'empty')!r})",
        "no descriptors": "resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))",
    }[end]
    with loopback() as server:
        made = make_host(each_python, tmp_path, endpoint=server.endpoint)
        for _ in range(60):
            done = made.run(
                f"import os, resource, {PACKAGE}; {code}", before=("unshare", "--map-root-user")
            )
            assert (done.returncode, done.stderr) == (0, b"")


def test_a_host_whose_callbacks_at_exit_cannot_be_compared(host: MakeHost) -> None:
    code = program("shared_sender_callbacks")
    with loopback() as server:
        done = host(endpoint=server.endpoint).run(code)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"called\n", b"")


def test_without_proc_each_package_starts_a_sender(host: MakeHost) -> None:
    without = (
        "unshare",
        "--mount",
        "--map-root-user",
        "sh",
        "-c",
        'mount -t tmpfs none /proc && exec "$@"',
        "sh",
    )
    with loopback() as server:
        made = host()
        names = add_packages(made, server, 3)
        assert made.run(f"import {', '.join(names)}", before=without).returncode == 0
        wait_for_packages(server, names)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_host_that_became_another_user_starts_a_sender_of_its_own(host: MakeHost) -> None:
    with loopback() as server:
        made = make_patient(host())
        names = add_packages(made, server, 2)
        for readable in (made.folder, *made.folder.parents[:-2]):
            readable.chmod(readable.stat().st_mode | 0o555)
        code = f"""
            import os, {names[0]}
            os.setgid(65534)
            os.setuid(65534)
            import {names[1]}
        """
        # Which every user can read.
        made = Host(Interpreter(SYSTEM_PYTHON, (0, 0)), made.folder, made.home)
        assert made.run(code).returncode == 0
        wait_for_packages(server, names)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def tls_server(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


@pytest.mark.strace
def test_jobs_share_the_certificates_and_no_session(
    host: MakeHost, authority: trustme.CA, tmp_path: Path
) -> None:
    trusted = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(trusted))
    context = tls_server(authority)
    with loopback(tls=context) as server:
        made = host()
        names = add_packages(made, server, 6)
        found = trace(
            made, tmp_path, f"import {', '.join(names)}", env={"SSL_CERT_FILE": str(trusted)}
        )
        assert packages_of(server) == set(names)
    assert context.session_stats()["accept_good"] == 6
    assert context.session_stats()["hits"] == 0
    assert sum("openat(" in line and str(trusted) in line for line in found.lines) == 1


def test_a_silent_server_does_not_hold_up_the_other_packages(host: MakeHost) -> None:
    with loopback(held=True) as silent, loopback() as server:
        made = make_patient(host())
        add_package(made, "first", silent.endpoint)
        add_package(made, "second", server.endpoint)
        made.run("import first, second")
        assert len(server.wait_for(1)) == 1
        assert len(silent.wait_for(1)) == 1


def test_a_job_that_hangs_does_not_keep_its_sender(host: MakeHost, tmp_path: Path) -> None:
    """The certificates are in a file that cannot be read to its end."""
    marker = uuid.uuid4().hex
    os.mkfifo(tmp_path / "ca.pem")
    with loopback() as server:
        made = host(endpoint=server.endpoint.replace("http", "https"))
        add_package(made, "other", server.endpoint)
        made.run(
            f"import {PACKAGE}, other",
            env={MARKER: marker, "SSL_CERT_FILE": str(tmp_path / "ca.pem")},
        )
        assert len(server.wait_for(1)) == 1
        wait_until_gone(marker)


def test_a_sender_that_hangs_is_ended_by_the_kernel(host: MakeHost) -> None:
    source, sink = os.pipe()
    made = host()
    folder = str(made.folder / "plaintally")
    boot = "import sys; sys.path.append(sys.argv[1]); from _transport import sender; sender.main()"
    command = [str(made.interpreter.python), "-I", "-S", "-B", "-c", boot, folder, str(os.getpid())]
    sender = subprocess.Popen(["sh", "-c", 'exec "$@" 3<&0', "sh", *command], stdin=source)
    assert sender.wait(60) == -signal.SIGALRM
    os.close(source)
    os.close(sink)


@pytest.mark.parametrize("command", FLOCK)
@pytest.mark.parametrize("free", range(5))
def test_a_sender_takes_the_lock_that_is_free(host: MakeHost, command: str, free: int) -> None:
    marker = uuid.uuid4().hex
    with loopback(held=True) as server:
        made = make_patient(host(endpoint=server.endpoint))
        files = locked_files(made)
        with locked([path for path in files if path != (*files, None)[free]]):
            done = made.run(env={MARKER: marker}, before=FLOCK[command])
            assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
            assert len(server.wait_for(free < 4)) == (free < 4)
            if free < 4:
                with pytest.raises(BlockingIOError), locked([files[free]]):
                    pass
            else:
                wait_until_gone(marker)  # it looks for a lock itself if there is no command
        server.release.set()
        wait_until_gone(marker)
        made.run(before=FLOCK[command])  # a full house is no reason to send nothing later
        assert len(server.wait_for(1 + (free < 4))) == 1 + (free < 4)


def can_lock(files: list[Path]) -> bool:
    try:
        with locked(files):
            return True
    except BlockingIOError:
        return False


@pytest.mark.strace
def test_without_a_lock_later_packages_start_nothing(host: MakeHost, tmp_path: Path) -> None:
    with loopback() as server:
        made = make_patient(host())
        names = add_packages(made, server, 3)
        files = locked_files(made)
        code = f"""
            import time, {names[0]}
            from plaintally import _spawn
            while _spawn._refused_s < 0:
                time.sleep(0.01)
            import {", ".join(names[1:])}
        """
        with locked(files):
            found = trace(made, tmp_path, textwrap.dedent(code))
        assert sum('"/bin/sh"' in line for line in found.programs) == 1
        assert server.connections == 0


def test_a_sender_that_only_waits_leaves_its_lock_to_others(host: MakeHost) -> None:
    with loopback() as server:
        made = make_patient(host(endpoint=server.endpoint))
        files = locked_files(made)
        with locked(files[:3]), made.start(f"import {PACKAGE}; input()") as process:
            assert len(server.wait_for(1)) == 1
            wait_until(lambda: can_lock(files[3:]))
            process.communicate(b"\n")


@pytest.mark.parametrize("command", FLOCK)
def test_quick_processes_leave_four_senders(host: MakeHost, command: str) -> None:
    marker = uuid.uuid4().hex
    with loopback(held=True) as server:
        made = make_patient(host(endpoint=server.endpoint))
        began_s = time.monotonic()
        for _ in range(60):
            done = made.run(env={MARKER: marker}, before=FLOCK[command])
            assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
        wait_until(lambda: server.connections >= 4 and len(senders(marker)) <= 4)
        minutes = (time.monotonic() - began_s) // 60  # after one, a sender gives up
        assert server.connections <= 4 * (1 + minutes)
        server.release.set()
        wait_until_gone(marker)
        before = len(server.requests)
        made.run(before=FLOCK[command])
        assert len(server.wait_for(before + 1)) == before + 1


@pytest.mark.strace
@pytest.mark.parametrize("command", FLOCK)
def test_where_files_cannot_be_locked_there_is_no_limit(
    host: MakeHost, tmp_path: Path, command: str
) -> None:
    strace = (
        shutil.which("strace") or "",
        "-f",
        "-o",
        str(tmp_path / "trace"),
        "-e",
        "inject=flock:error=ENOLCK",
    )
    with loopback() as server:
        made = host(endpoint=server.endpoint)
        files = locked_files(made)
        with locked(files):
            assert made.run(before=(*FLOCK[command], *strace)).returncode == 0
        assert len(server.wait_for(1)) == 1


def test_an_installation_without_sources(host: MakeHost) -> None:
    with loopback() as server:
        made = host(endpoint=server.endpoint)
        sdk = made.folder / "plaintally"
        compileall.compile_dir(sdk, legacy=True, quiet=1)
        for path in sdk.rglob("*.py"):
            path.unlink()
        made = Host(
            Interpreter(Path(sys.base_prefix, "bin/python3"), (0, 0)), made.folder, made.home
        )
        with locked([path.with_suffix(".pyc") for path in locked_files(made)]):
            assert made.run().returncode == 0
        for count in (1, 2):
            assert made.run().returncode == 0
            assert len(server.wait_for(count)) == count


@pytest.mark.parametrize("command", FLOCK)
def test_a_zip_application_over_tls(
    host: MakeHost, authority: trustme.CA, tmp_path: Path, command: str
) -> None:
    """Its interpreter runs the sender from the archive, which is the only file to lock."""
    trusted = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(trusted))
    with loopback(tls=tls_server(authority)) as server:
        made = host(endpoint=server.endpoint)
        (made.folder / "__main__.py").write_text(f"import {PACKAGE}\n")
        archive = tmp_path / "application.pyz"
        zipapp.create_archive(made.folder, archive)
        application = Host(made.interpreter, tmp_path, made.home)
        code = (
            f"import sys, runpy; sys.path.insert(0, {str(archive)!r}); "
            f"runpy.run_path({str(archive)!r})"
        )
        env = {"SSL_CERT_FILE": str(trusted), "PYTHONPATH": ""}
        with locked([archive]):
            assert application.run(code, env=env, before=FLOCK[command]).returncode == 0
        assert application.run(code, env=env, before=FLOCK[command]).returncode == 0
        assert len(server.wait_for(1)) == 1
        assert packages_of(server) == {PACKAGE}


def test_packages_of_a_zip_application_share_a_sender(host: MakeHost, tmp_path: Path) -> None:
    """It holds the only lock, which is no reason to give up early."""
    with loopback() as server:
        made = make_patient(host())
        names = add_packages(made, server, 2)
        archive = tmp_path / "application.pyz"
        (made.folder / "__main__.py").write_text("")
        zipapp.create_archive(made.folder, archive)
        code = program("shared_sender_archive", ONE=names[0], TWO=names[1])
        done = Host(made.interpreter, tmp_path, made.home).run(
            code, env={"PYTHONPATH": str(archive)}
        )
        assert done.stdout == b"1\n"
        wait_for_packages(server, names)


@pytest.mark.parametrize("name", ["cat", "python3", "python-server"])
def test_a_program_that_runs_python_uses_the_interpreter_beside_its_library(
    each_python: Interpreter, tmp_path: Path, name: str
) -> None:
    """It may fork or end Python without telling it, so that no thread is started."""
    executable = tmp_path / name
    executable.symlink_to(each_python.python if name == "python-server" else "/bin/cat")
    code = program("shared_sender_other_program", PROGRAM=repr(str(executable)))
    with loopback() as server:
        made = make_host(each_python, tmp_path, endpoint=server.endpoint)
        done = made.run(LEFT_BEHIND + "\n" + textwrap.dedent(code))
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
        assert len(server.wait_for(1)) == 1


def test_packages_that_threads_import_at_once_share_a_sender(
    each_python: Interpreter, tmp_path: Path
) -> None:
    with loopback() as server:
        made = make_patient(make_host(each_python, tmp_path, endpoint=server.endpoint))
        names = [f"package{number}" for number in range(10)]
        for name in names:
            (made.folder / f"{name}.py").write_text(
                f"from plaintally import Telemetry\nTelemetry({name!r}, "
                f"endpoint={server.endpoint!r}).count_import()\n"
            )
        code = program("shared_sender_threads", PACKAGES=repr(names))
        for number in range(1, 6):
            assert made.run(code).returncode == 0
            assert len(server.wait_for(10 * number)) == 10 * number


def test_a_lock_that_a_fork_left_locked_is_waited_for_once(host: MakeHost) -> None:
    with loopback() as server:
        made = host(endpoint=server.endpoint)
        done = made.run(program("shared_sender_lock"))
        assert (done.returncode, done.stderr) == (0, b"")
        assert len(server.wait_for(1)) == 1
