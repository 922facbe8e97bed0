"""Failures of sharing and deletion: each is a reason in the result or a `SharingError`, never
another exception."""

import base64
import json
import os
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from loopback import Loopback, answer, loopback
from programs import program
from terminals import see_at_terminal

PREPARATION = program("exchange_preparation")
FAILURES = program("exchange_failures")


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def server(authority: trustme.CA) -> Iterator[Loopback]:

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with loopback(tls=context) as running:
        yield running


def run(
    code: str, folder: Path, server: Loopback, authority: trustme.CA, **env: str
) -> subprocess.CompletedProcess[str]:
    authority.cert_pem.write_to_path(folder / "ca.pem")
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PREPARATION + code, server.endpoint],
        env={
            "HOME": str(folder),
            "PATH": os.environ["PATH"],
            "SSL_CERT_FILE": str(folder / "ca.pem"),
            **env,
        },
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


def test_whatever_a_replaced_module_raises_is_a_reason(
    tmp_path: Path, server: Loopback, authority: trustme.CA
) -> None:
    done = run(FAILURES, tmp_path, server, authority)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [[], True, True]


HOSTS = program("exchange_hosts")


@pytest.mark.parametrize("is_there", [True, False])
def test_a_host_that_has_replaced_modules_gets_a_reason(
    tmp_path: Path, server: Loopback, authority: trustme.CA, *, is_there: bool
) -> None:
    code = HOSTS
    if not is_there:
        code = (
            "telemetry._address = "
            f"_spawn.parse_endpoint('https://127.0.0.1:9/v1/documents')\n{code}"
        )
    done = run(code, tmp_path, server, authority)
    told = [line.partition(" ")[2] for line in done.stdout.splitlines()]
    assert set(told) <= {"a reason", "complete"}, done.stdout + done.stderr
    assert (len(told), done.returncode) == (18, 0)


def test_a_trust_store_that_the_host_has_injected_is_used(
    tmp_path: Path, server: Loopback, authority: trustme.CA
) -> None:
    """Its context has no `cert_store_stats`."""
    code = (
        "import truststore; "
        "truststore.inject_into_ssl()\nprint(telemetry.share(show_progress=False).complete)"
    )
    done = run(code, tmp_path, server, authority)
    assert (done.returncode, done.stdout) == (0, "True\n"), done.stderr


ASK_PROXY = program("exchange_ask_proxy")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("user:100%", b"user:100%"),
        ("user:%zz%4", b"user:%zz%4"),
        ("user:%1%+1", b"user:%1%+1"),
        ("us%40er:%25%c3%a4", b"us@er:%\xc3\xa4"),
        ("user:p\udcff", b"user:p\xff"),
    ],
)
def test_a_proxys_password_is_sent_as_curl_sends_it(
    tmp_path: Path, typed: str, meant: bytes
) -> None:
    with loopback(answer(502)) as proxy:
        environment = {
            "http_proxy": f"http://{typed}@127.0.0.1:{proxy.port}",
            "HOME": str(tmp_path),
        }
        for command in ([sys.executable, "-c", ASK_PROXY], ["curl", "-s", "http://a.test/x"]):
            subprocess.run(command, env=environment, capture_output=True, check=False)
        sent = [
            line
            for request in proxy.requests
            for line in request.split(b"\r\n")
            if line.startswith(b"Proxy-Auth")
        ]
        assert sent == [b"Proxy-Authorization: Basic " + base64.b64encode(meant)] * 2


BREAKAGES = {
    "another tqdm": "import sys; sys.modules['tqdm'] = 3",
    "tqdm begins": "import tqdm; tqdm.tqdm.__init__ = fail",
    "tqdm updates": "import tqdm; tqdm.tqdm.update = fail",
    "tqdm ends": "import tqdm; tqdm.tqdm.close, tqdm.tqdm.__del__ = fail, lambda self: None",
    "the terminal is full": "import sys; sys.modules['tqdm'] = None; sys.stderr = Full()",
    "the terminal is gone": "import sys; sys.modules['tqdm'] = None; sys.stderr.isatty = fail",
    "a broken notebook": (
        "import sys, types; sys.modules['IPython'] = m = types.ModuleType('I'); m.get_ipython = "
        "fail"
    ),
    "no output": "import sys; sys.stdout.close()",
    "a full output": "import sys; sys.stdout = Full()",
}
BREAK = program("exchange_breaks")


@pytest.mark.linux
@pytest.mark.parametrize("name", BREAKAGES)
def test_bars_that_fail_go_dark_and_the_key_is_shown(tmp_path: Path, name: str) -> None:
    with loopback() as plain:
        code = f"{BREAK}\n{BREAKAGES[name]}\n{PREPARATION}telemetry.share()\n"
        code += "sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__\n"
        env = {"HOME": str(tmp_path), "TERM": "xterm-256color", "LANG": "C.UTF-8"}
        seen = see_at_terminal([sys.executable, "-c", code, plain.endpoint], env=env, cwd=tmp_path)
        assert len(plain.requests) == 2
    assert "Thank you. 1 session, statistics of 1 label, 1 run" in seen
    assert "plaintally forget" in seen
    assert "Traceback" not in seen


def test_an_interruption_by_another_exception_carries_the_key(
    tmp_path: Path, authority: trustme.CA
) -> None:
    """As a handler of SIGTERM raises it in a server."""
    code = program("exchange_ends")
    with loopback(held=True) as held:
        done = run(code, tmp_path, held, authority)
    assert done.stdout == "3 True True\n", done.stderr


IN_BACKGROUND = program("exchange_in_background")


@pytest.mark.linux
def test_the_bars_of_a_job_in_the_background_do_not_stop_it(tmp_path: Path) -> None:
    """After `stty tostop`, the terminal stops a job in the background that writes to it."""
    with loopback() as plain:
        job = ["-c", PREPARATION + "telemetry.share()", plain.endpoint]
        env = {"HOME": str(tmp_path), "TERM": "xterm", "LANG": "C.UTF-8"}
        seen = see_at_terminal([sys.executable, "-c", IN_BACKGROUND, *job], env=env, cwd=tmp_path)
    assert (seen, len(plain.requests)) == ("", 2)
    assert "Thank you." in (tmp_path / "output").read_text()
