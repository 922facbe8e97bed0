"""The detached sender: what leaves, that it arrives, and that the host never notices."""

import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import textwrap
import uuid
from collections.abc import Iterator
from contextlib import closing
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
    in_sub_interpreter,
    make_host,
    make_patient,
    senders,
    trace,
    wait_until_gone,
)
from loopback import OK, Loopback, answer, loopback
from programs import program

pytestmark = pytest.mark.linux

REQUEST = re.compile(
    rb"POST /v1/projects/test/databases/\(default\)/documents/using_hostpkg"
    rb"\?documentId=(?P<id>[0-9a-f-]{36}) HTTP/1\.1\r\n"
    rb"Host: 127\.0\.0\.1:\d+\r\n"
    rb"User-Agent: plaintally\r\n"
    rb"Content-Type: application/json\r\n"
    rb"Content-Length: 126\r\n"
    rb"Connection: close\r\n"
    rb"\r\n"
    rb'\{"fields":\{"id":\{"stringValue":"(?P=id)"\},'
    rb'"timestamp":\{"timestampValue":"\d{4}-\d\d-\d\dT\d\d:00:00Z"\}\}\}'
)


def assert_unharmed(host: Host, **keywords: object) -> None:
    completed = host.run(**keywords)  # type: ignore[arg-type]
    assert (completed.returncode, completed.stdout, completed.stderr) == (0, b"", b"")


@pytest.mark.smoke
def test_the_bytes_are_an_id_and_a_time_and_nothing_else(
    each_python: Interpreter, tmp_path: Path
) -> None:
    with loopback() as server:
        host = make_host(each_python, tmp_path, endpoint=server.endpoint)
        assert_unharmed(
            host, env={"LANG": "de_DE.UTF-8", "USER": "canary-user", "HOSTNAME": "canary-host"}
        )
        [request] = server.wait_for(1)
    found = REQUEST.fullmatch(request)
    assert found, request
    assert uuid.UUID(found["id"].decode()).version == 4


def test_fifty_scripts_that_only_import_are_fifty_counts(host: MakeHost) -> None:
    with loopback() as server:
        counted = host(endpoint=server.endpoint)
        for number in range(50):
            assert_unharmed(counted)
            server.wait_for(number - 1)  # so that no more than two senders are alive
        requests = server.wait_for(50)
    identifiers = {
        json.loads(request.partition(b"\r\n\r\n")[2])["fields"]["id"]["stringValue"]
        for request in requests
    }
    assert len(identifiers) == 50


@pytest.mark.parametrize(
    "end", ["os._exit(0)", "os.kill(os.getpid(), signal.SIGKILL)", "os.killpg(0, signal.SIGKILL)"]
)
def test_the_sender_survives_the_host(host: MakeHost, end: str) -> None:
    with loopback() as server:
        counted = host(endpoint=server.endpoint)
        for _ in range(5):
            counted.run(f"import os, signal; os.setsid(); import {PACKAGE}; {end}")
        assert len(server.wait_for(5)) == 5


def test_the_host_ends_before_a_slow_or_silent_server_answers(host: MakeHost) -> None:
    marker = uuid.uuid4().hex
    with loopback(held=True) as server:
        counted = host(endpoint=server.endpoint)
        assert_unharmed(counted, env={MARKER: marker})
        # Taken and read, and not answered: yet the host is gone.
        assert len(server.wait_for(1)) == 1
        assert len(senders(marker)) == 1
        # The sender gives up by itself, although the server is still silent.
        wait_until_gone(marker)
        assert server.connections == 1


@pytest.mark.parametrize(
    ("answers", "tries"),
    [
        ([answer(500)], 3),
        ([answer(503), OK], 2),
        ([answer(429, "Retry-After: 1"), OK], 2),
        ([answer(429, "Retry-After: 3600")], 1),
        ([answer(429, "Retry-After: Fri, 31 Dec 2027 23:59:59 GMT")], 1),
        ([answer(400)], 1),
        ([answer(403)], 1),
        ([answer(409)], 1),
        ([answer(301, "Location: http://127.0.0.1:{other}/elsewhere")], 1),
        ([answer(307, "Location: http://127.0.0.1:{other}/elsewhere")], 1),
        ([answer(200, body=b"x" * 10_000_000)], 1),
        ([b"x" * 10_000_000], 1),
        ([b"220 mail.example.org ESMTP\r\n\r\n"], 1),
    ],
    ids=lambda value: (
        value[0][9:60].decode(errors="replace").split("\r\n")[0]
        if isinstance(value, list)
        else str(value)
    ),
)
def test_what_a_server_answers(host: MakeHost, answers: list[bytes], tries: int) -> None:
    marker = uuid.uuid4().hex
    with loopback() as other, loopback() as server:
        server.answers = [given.replace(b"{other}", str(other.port).encode()) for given in answers]
        assert_unharmed(host(endpoint=server.endpoint), env={MARKER: marker})
        server.wait_for(tries)
        wait_until_gone(marker)
        assert len(server.requests) == tries
        assert other.connections == 0
        assert len(set(server.requests)) == 1  # a retry is the same document


@pytest.mark.strace
def test_a_refused_connection_is_tried_three_times(host: MakeHost, tmp_path: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as unused:
        port = unused.getsockname()[1]
    counted = host(endpoint=f"http://127.0.0.1:{port}/v1/documents")
    found = trace(counted, tmp_path)
    assert sum("connect(" in line for line in found.sockets) == 3


def test_an_unresolvable_name_is_asked_for_once_and_forgotten(host: MakeHost) -> None:
    marker = uuid.uuid4().hex
    assert_unharmed(host(endpoint="https://collector.invalid/v1/documents"), env={MARKER: marker})
    wait_until_gone(marker)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def tls_server(authority: trustme.CA, name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


@pytest.mark.parametrize("case", ["trusted", "untrusted", "other name"])
def test_tls_is_verified(host: MakeHost, authority: trustme.CA, tmp_path: Path, case: str) -> None:
    marker = uuid.uuid4().hex
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    trust = {} if case == "untrusted" else {"SSL_CERT_FILE": str(tmp_path / "ca.pem")}
    with loopback(
        tls=tls_server(authority, "example.org" if case == "other name" else "127.0.0.1")
    ) as server:
        assert_unharmed(make_patient(host(endpoint=server.endpoint)), env={MARKER: marker, **trust})
        if case == "trusted":
            [request] = server.wait_for(1)
            assert REQUEST.fullmatch(request)
        wait_until_gone(marker)
        assert server.connections == 1
        assert len(server.requests) == (case == "trusted")


@pytest.fixture
def proxy() -> Iterator[Loopback]:
    with loopback(answer(502)) as server:
        yield server


@pytest.mark.parametrize("upper", [False, True])
def test_a_proxy_is_used(host: MakeHost, proxy: Loopback, upper: bool) -> None:  # noqa: FBT001
    name = "HTTPS_PROXY" if upper else "https_proxy"
    counted = host(endpoint="https://telemetry.example.org/v1/documents")
    assert_unharmed(counted, env={name: f"http://me:s%20cret@127.0.0.1:{proxy.port}"})
    assert proxy.wait_for(1)[0] == (
        b"CONNECT telemetry.example.org:443 HTTP/1.1\r\nHost: "
        b"telemetry.example.org:443\r\nUser-Agent: plaintally\r\n"
        b"Proxy-Authorization: Basic bWU6cyBjcmV0\r\n\r\n"
    )


def test_a_plain_request_goes_through_a_proxy_in_absolute_form(
    host: MakeHost, proxy: Loopback
) -> None:
    counted = host(endpoint="http://telemetry.example.org/v1/documents", allow_http=True)
    assert_unharmed(counted, env={"http_proxy": f"http://127.0.0.1:{proxy.port}"})
    assert proxy.wait_for(1)[0].startswith(
        b"POST http://telemetry.example.org:80/v1/documents/using_hostpkg?documentId="
    )


def test_no_proxy_and_loopback_go_around_the_proxy(host: MakeHost, proxy: Loopback) -> None:
    address = f"http://127.0.0.1:{proxy.port}"
    marker = uuid.uuid4().hex
    with loopback() as server:
        counted = host(endpoint=server.endpoint)
        assert_unharmed(
            counted, env={"http_proxy": address, "HTTP_PROXY": address, "all_proxy": address}
        )
        assert len(server.wait_for(1)) == 1
    elsewhere = make_host(
        counted.interpreter, counted.folder / "2", endpoint="https://collector.invalid/v1/documents"
    )
    assert_unharmed(
        elsewhere, env={"https_proxy": address, "no_proxy": "a.example, .invalid", MARKER: marker}
    )
    wait_until_gone(marker)
    assert proxy.connections == 0


def test_a_home_that_is_read_only_or_missing(host: MakeHost, tmp_path: Path) -> None:
    with loopback() as server:
        counted = host(endpoint=server.endpoint)
        counted.home.chmod(0o500)
        assert_unharmed(counted)
        counted.home.chmod(0o700)
        assert_unharmed(counted, env={"HOME": str(tmp_path / "nowhere")})
        assert_unharmed(counted, env={"HOME": "", "XDG_CONFIG_HOME": "relative"})
        assert len(server.wait_for(3)) == 3
    assert not (tmp_path / "nowhere").exists()
    assert list(counted.home.iterdir()) == []


@pytest.mark.parametrize("replacement", ["object()", "None", "closed"])
def test_a_standard_input_that_the_host_replaced(host: MakeHost, replacement: str) -> None:
    change = "sys.stdin.close()" if replacement == "closed" else f"sys.stdin = {replacement}"
    with loopback() as server:
        assert_unharmed(
            host(endpoint=server.endpoint), code=f"import sys; {change}; import {PACKAGE}"
        )
        assert len(server.wait_for(1)) == 1


@pytest.mark.parametrize("closed", ["0", "1", "2", "0 1", "0 2", "1 2", "0 1 2"])
def test_closed_standard_streams(host: MakeHost, closed: str) -> None:
    redirections = " ".join(f"{number}>&-" for number in closed.split())
    with loopback() as server:
        counted = host(endpoint=server.endpoint)
        done = counted.run(before=("sh", "-c", f'exec "$@" {redirections}', "sh"))
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
        assert len(server.wait_for(1)) == 1


@pytest.mark.parametrize("proc", ["there", "missing"])
def test_a_pipe_that_the_host_inherited_is_not_held_open(host: MakeHost, proc: str) -> None:
    """A shell that reads everything its command's children write must not wait for the sender."""
    script = 'mount -t tmpfs none /proc && exec "$@"'
    without = ("unshare", "--mount", "--map-root-user", "sh", "-c", script, "sh")
    with loopback(held=True) as server:
        counted = host(endpoint=server.endpoint)
        source, sink = os.pipe()
        command = [
            *(without if proc == "missing" else ()),
            str(counted.interpreter.python),
            "-c",
            f"import {PACKAGE}",
        ]
        marker = uuid.uuid4().hex
        subprocess.run(
            command, env=counted.environment({MARKER: marker}), pass_fds=(sink,), check=True
        )
        os.close(sink)
        assert len(server.wait_for(1)) == 1
        os.set_blocking(source, False)
        assert os.read(source, 1) == b""  # the end of the pipe,
        assert len(senders(marker)) == 1  # while the sender is still waiting for its answer
        os.close(source)


def test_warnings_as_errors_and_development_mode(each_python: Interpreter, tmp_path: Path) -> None:
    with loopback() as server:
        host = make_host(each_python, tmp_path, endpoint=server.endpoint)
        for options in (
            ["-W", "error"],
            ["-X", "dev", "-W", "error"],
            ["-O"],
            ["-bb", "-W", "error"],
        ):
            completed = host.run(f"import {PACKAGE}; import gc; gc.collect()", *options)
            assert (completed.returncode, completed.stdout, completed.stderr) == (0, b"", b"")
        assert len(server.wait_for(4)) == 4


def test_a_host_with_threads_that_forks_around_the_import(
    each_python: Interpreter, tmp_path: Path
) -> None:
    code = program("sender_forks")
    with loopback() as server:
        host = make_host(each_python, tmp_path, endpoint=server.endpoint)
        done = host.run(code, "-W", "ignore::DeprecationWarning")
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
        assert len(server.wait_for(1)) == 1


@pytest.mark.parametrize("within", ["main", "another"])
@pytest.mark.parametrize(("preparation", "counts"), [("pass", 1), ("sys.frozen = True", 0)])
def test_a_sub_interpreter_ends_without_a_thread_in_it(
    each_python: Interpreter, tmp_path: Path, preparation: str, counts: int, within: str
) -> None:
    """Python aborts the process otherwise; a process can be started all the same."""
    with loopback() as server:
        host = make_host(each_python, tmp_path, endpoint=server.endpoint)
        code = in_sub_interpreter(f"import sys; {preparation}; import {PACKAGE}", within=within)
        for _ in range(3):
            done = host.run(code)
            assert (done.returncode, done.stdout, done.stderr) == (0, b"None\n", b"")
        assert len(server.wait_for(3 * counts)) == 3 * counts


def test_an_interpreter_that_needs_its_home_variable(host: MakeHost, tmp_path: Path) -> None:
    """The sender needs it, too, and still sees nothing of the user's modules."""
    with loopback() as server:
        counted = host(endpoint=server.endpoint)
        base = subprocess.run(
            [
                counted.interpreter.python,
                "-c",
                "import os, sys; print(os.path.realpath(sys.executable), sys.base_prefix)",
            ],
            capture_output=True,
            check=True,
            text=True,
        )
        program, home = base.stdout.split()
        library = tmp_path / "moved/lib/python{}.{}".format(*counted.interpreter.version)
        (library / "lib-dynload").mkdir(parents=True)
        (library / "os.py").touch()  # for which the interpreter takes this to be its library
        moved = tmp_path / "moved/bin/python"
        moved.parent.mkdir()
        shutil.copy(program, moved)
        (counted.folder / "socket.py").write_text("raise SystemExit('of the user')")
        [packages] = counted.interpreter.prefix.glob("lib/python*/site-packages")
        counted = Host(
            Interpreter(moved, counted.interpreter.version), counted.folder, counted.home
        )
        assert counted.run("pass").returncode != 0
        assert_unharmed(
            counted, env={"PYTHONHOME": home, "PYTHONPATH": f"{counted.folder}:{packages}"}
        )
        assert len(server.wait_for(1)) == 1


@pytest.mark.parametrize(
    ("refused", "sent"), [("os.posix_spawn", 0), ("_thread.start_new_thread", 1)]
)
def test_a_hook_that_refuses(
    each_python: Interpreter, tmp_path: Path, refused: str, sent: int
) -> None:
    """Without a process nothing is sent; without a thread the host waits for sh."""
    code = program("sender_refused", EVENT=repr(refused))
    with loopback() as server:
        host = make_host(each_python, tmp_path, endpoint=server.endpoint)
        assert_unharmed(host, code=LEFT_BEHIND + textwrap.dedent(code))
        assert len(server.wait_for(sent)) == sent


@pytest.mark.strace
@pytest.mark.parametrize("embedded", [False, True])
def test_another_program_that_runs_python_is_left_no_thread(
    host: MakeHost,
    tmp_path: Path,
    embedded: bool,  # noqa: FBT001
) -> None:
    """Where it ends Python and starts it again, a thread of the old one would crash it."""
    as_embedded = "sys.orig_argv.clear()" if embedded else "pass"
    with loopback() as server:
        counted = host(endpoint=server.endpoint)
        found = trace(counted, tmp_path, f"import sys; {as_embedded}; import {PACKAGE}")
        of_host = found.lines[0].split()[0]
        threads = [
            line
            for line in found.processes_and_threads
            if "CLONE_THREAD" in line and line.startswith(of_host)
        ]
        assert len(threads) == (not embedded)
        assert len(server.wait_for(1)) == 1


@pytest.mark.strace
@pytest.mark.parametrize(
    "preparation",
    ["sys.frozen = True", "sys.executable = None; sys.prefix = sys.base_prefix = '/nowhere'"],
)
def test_without_an_interpreter_nothing_is_started(
    host: MakeHost, tmp_path: Path, preparation: str
) -> None:
    with loopback() as server:
        counted = host(endpoint=server.endpoint)
        found = trace(counted, tmp_path, f"import sys; {preparation}; import {PACKAGE}")
        assert found.processes_and_threads == []
        assert found.sockets == []
        assert server.connections == 0


@pytest.mark.parametrize(
    "instead", ["/bin/false", "/etc/passwd"], ids=["sh that fails", "sh that cannot be run"]
)
def test_without_a_shell_nothing_is_sent_and_nothing_hangs(host: MakeHost, instead: str) -> None:
    script = 'mount --bind "$0" "$(readlink -f /bin/sh)" && exec "$@"'
    with loopback() as server:
        done = host(endpoint=server.endpoint).run(
            f"{LEFT_BEHIND}\nimport {PACKAGE}\nassert left_behind() == (0, 0)",
            before=("unshare", "--mount", "--map-root-user", "sh", "-c", script, instead),
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
        assert server.connections == 0


def test_a_host_of_a_gigabyte(host: MakeHost) -> None:
    with loopback() as server:
        assert_unharmed(
            host(endpoint=server.endpoint),
            code=f"held = bytearray(b'x') * (1 << 30); import {PACKAGE}",
        )
        assert len(server.wait_for(1)) == 1


@pytest.mark.parametrize("setting", ["signal.SIG_IGN", "lambda *_: None"])
def test_a_host_with_its_own_idea_of_children(host: MakeHost, setting: str) -> None:
    code = f"""
        import os, signal, subprocess, sys
        signal.signal(signal.SIGCHLD, {setting})
        child = subprocess.Popen([sys.executable, "-c", "raise SystemExit(5)"])
        import {PACKAGE}
        assert child.wait() == (0 if signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN else 5)
    """
    with loopback() as server:
        assert_unharmed(host(endpoint=server.endpoint), code=code)
        assert len(server.wait_for(1)) == 1


FIRST_PROCESS = ("unshare", "--pid", "--fork", "--mount-proc", "--map-root-user")


@pytest.mark.parametrize("green", [False, True], ids=["plain", "gevent"])
@pytest.mark.parametrize("adopts", ["first process", "subreaper", "neither"])
def test_a_host_that_is_given_orphans(host: MakeHost, adopts: str, green: bool) -> None:  # noqa: FBT001
    """The sender becomes its child, and is collected when it ends."""
    code = program(
        "sender_orphans",
        GREEN=green,
        IS_SUBREAPER=adopts == "subreaper",
        IS_NEITHER=adopts == "neither",
    )
    before = FIRST_PROCESS if adopts == "first process" else ()
    with loopback(held=True) as server:
        counted = host(endpoint=server.endpoint)
        counted = Host(
            Interpreter(Path(sys.executable), sys.version_info[:2]), counted.folder, counted.home
        )
        process = counted.start(LEFT_BEHIND + textwrap.dedent(code), before=before)
        assert process.stdout
        assert process.stdout.readline() == b"imported\n"
        assert len(server.wait_for(1)) == 1
        server.release.set()
        assert process.communicate(b"\n", timeout=60)[0] == b"nothing is left\n"
        assert process.returncode == 0


def test_a_host_of_gevent(host: MakeHost) -> None:
    """What it replaces in `os` and `_thread` would keep its loop from ever ending, or stop it while
    it waits."""
    code = program("sender_gevent")
    with loopback() as server:
        counted = host(endpoint=server.endpoint)
        counted = Host(
            Interpreter(Path(sys.executable), sys.version_info[:2]), counted.folder, counted.home
        )
        assert_unharmed(counted, code=LEFT_BEHIND + textwrap.dedent(code))
        assert len(server.wait_for(1)) == 1


def test_blocked_and_ignored_signals_do_not_stop_the_sender_from_ending(host: MakeHost) -> None:
    marker = uuid.uuid4().hex
    code = f"""
        import signal
        for number in (signal.SIGALRM, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        import {PACKAGE}
    """
    with loopback(held=True) as server:
        assert_unharmed(host(endpoint=server.endpoint), code=code, env={MARKER: marker})
        server.wait_for(1)
        [sender] = senders(marker)
        status = Path(f"/proc/{sender}/status").read_text()
        assert re.search(r"SigBlk:\s0+\n", status)
        wait_until_gone(marker)


def test_the_sender_has_left_the_hosts_session_folder_and_priority(host: MakeHost) -> None:
    marker = uuid.uuid4().hex
    with loopback(held=True) as server:
        assert_unharmed(host(endpoint=server.endpoint), env={MARKER: marker})
        server.wait_for(1)
        [sender] = senders(marker)
        assert os.getsid(sender) not in (0, os.getsid(0))
        assert Path(f"/proc/{sender}/cwd").readlink() == Path("/")
        assert os.getpriority(os.PRIO_PROCESS, sender) == min(
            os.getpriority(os.PRIO_PROCESS, 0) + 10, 19
        )
        assert {str(Path(f"/proc/{sender}/fd/{number}").readlink()) for number in (1, 2)} == {
            "/dev/null"
        }
        os.kill(sender, signal.SIGKILL)


PASSED_ON = {
    "HTTPS_PROXY": "http://proxy.invalid:1",
    "https_proxy": "http://proxy.invalid:2",
    "ALL_PROXY": "http://proxy.invalid:3",
    "SSL_CERT_FILE": "/etc/ssl/cert.pem",
    "SSL_CERT_DIR": "/etc/ssl/certs",
}
HELD_BACK = {
    "AWS_SECRET_ACCESS_KEY": "canary",
    "DATABASE_URL": "postgresql://me:canary@host/db",
    "HOSTPKG_TELEMETRY": "on",
    "USER": "canary",
    "PWD": "/canary",
    "OLDPWD": "/canary",
    "SSLKEYLOGFILE": "/tmp/canary",
    "LD_PRELOAD": "",
    "PYTHONSTARTUP": "/canary",
}


def environment_of(pid: int) -> dict[str, str]:
    entries = Path(f"/proc/{pid}/environ").read_text().split("\0")
    return dict(entry.split("=", 1) for entry in entries if entry)


@pytest.mark.parametrize("shell", ["/bin/sh", "/bin/bash"])
def test_the_sender_gets_path_proxies_and_certificates_of_the_environment(
    host: MakeHost, shell: str
) -> None:
    """Some systems have bash for sh, which adds the working directory to what it was given."""
    if not os.path.exists(shell):  # noqa: PTH110
        pytest.skip(f"no {shell} here")
    marker = uuid.uuid4().hex
    code = f"""
        import posix
        spawn = posix.posix_spawn
        posix.posix_spawn = lambda path, *rest, **options: spawn({shell!r}, *rest, **options)
        import {PACKAGE}
    """
    with loopback(held=True) as server:
        counted = host(endpoint=server.endpoint)
        assert_unharmed(counted, code=code, env={MARKER: marker, **PASSED_ON, **HELD_BACK})
        server.wait_for(1)
        [sender] = senders(marker)
        given = environment_of(sender)
        os.kill(sender, signal.SIGKILL)
    for own in ("_", "SHLVL"):  # which bash counts again for itself
        given.pop(own, None)
    assert given == {"PATH": os.environ["PATH"], MARKER: marker, **PASSED_ON}


def test_in_a_cgi_script_a_proxy_that_a_client_may_have_set_is_not_used(
    host: MakeHost, proxy: Loopback
) -> None:
    counted = host(endpoint="http://collector.invalid/v1/documents", allow_http=True)
    marker = uuid.uuid4().hex
    env = {MARKER: marker, "HTTP_PROXY": f"http://127.0.0.1:{proxy.port}"}
    assert_unharmed(counted, env={**env, "REQUEST_METHOD": "GET"})
    wait_until_gone(marker)
    assert proxy.connections == 0
    assert_unharmed(counted, env=env)
    assert len(proxy.wait_for(1)) == 1


def test_two_hosts_in_one_process_are_told_apart(host: MakeHost, tmp_path: Path) -> None:
    with loopback() as server, loopback() as other:
        counted = host(endpoint=server.endpoint)
        neighbour = counted.folder / "neighbour"
        neighbour.mkdir()
        (neighbour / "__init__.py").write_text(
            "from plaintally import Telemetry\nTelemetry('neighbour', "
            f"endpoint={other.endpoint!r}).count_import()\n"
        )
        assert_unharmed(counted, code=f"import {PACKAGE}, neighbour", env={MARKER: tmp_path.name})
        [first] = server.wait_for(1)
        [second] = other.wait_for(1)
    assert b"using_hostpkg?" in first
    assert b"using_neighbour?" in second
    assert (
        json.loads(first.split(b"\r\n\r\n")[1])["fields"]["id"]
        != json.loads(second.split(b"\r\n\r\n")[1])["fields"]["id"]
    )
