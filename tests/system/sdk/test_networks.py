"""Networks that lose packets, answer for others or send users to a login page."""

import json
import signal
from pathlib import Path

import pytest

from hosts import Interpreter, in_sub_interpreter
from networks import HERE, run_in_network
from programs import program

ADDRESSES = {
    "IPv6": ("2001:db8::77", HERE),
    "several": ("2001:db8::70", "2001:db8::71", "2001:db8::72", "2001:db8::73", "10.9.0.70", HERE),
    "refused": ("127.0.0.9", HERE),
}
SHARING = program("networks_sharing")

pytestmark = pytest.mark.linux


def share(
    folder: Path, host: str, *, first: str = "", **keywords: object
) -> tuple[bool, str | None, float]:
    code = f"HOST = {host!r}\n{first}\n{SHARING}"
    done = run_in_network(code, folder, **keywords)  # type: ignore[arg-type]
    assert done.returncode == 0, done.stderr
    found: tuple[bool, str | None, float] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("kind", ADDRESSES)
def test_an_import_is_counted_although_other_addresses_never_answer(
    tmp_path: Path, kind: str
) -> None:
    done = run_in_network(
        program("networks_counting", PROXY={}), tmp_path, names={"collector.test": ADDRESSES[kind]}
    )
    assert "using_hostpkg" in done.stdout, done.stderr


def test_an_import_is_counted_although_other_addresses_of_the_proxy_never_answer(
    tmp_path: Path,
) -> None:
    code = program("networks_counting", PROXY={"http_proxy": "http://proxy.test:PORT"})
    done = run_in_network(code, tmp_path, names={"proxy.test": ADDRESSES["several"]})
    assert done.stdout.startswith("http://collector.test:"), done.stderr


@pytest.mark.parametrize("kind", ADDRESSES)
def test_sharing_does_not_wait_for_addresses_that_never_answer(tmp_path: Path, kind: str) -> None:
    complete, reason, took_s = share(
        tmp_path, "collector.test", names={"collector.test": ADDRESSES[kind]}
    )
    assert (complete, reason) == (True, None)
    assert took_s < 8  # of a budget of 30 seconds, which the first address would use up


def test_sharing_ends_although_no_name_server_answers(tmp_path: Path) -> None:
    first = "from plaintally._transport.retry import SHARING\nSHARING.try_s = 2.0"
    complete, reason, took_s = share(tmp_path, "collector.example", first=first)
    assert not complete
    assert "no name server answered" in str(reason)
    assert took_s < 8  # the look-up itself takes ten


def test_sharing_in_a_sub_interpreter_does_not_end_the_process(
    each_python: Interpreter, tmp_path: Path
) -> None:
    """A thread that is left behind with a look-up would abort it when the sub-interpreter ends."""
    code = program("networks_sub_interpreter")
    code = in_sub_interpreter(code) + "print('the end')"
    options = {"RES_OPTIONS": "timeout:2 attempts:1"}
    done = run_in_network(code, tmp_path, python=each_python.python, env=options)
    assert done.stdout.splitlines() == ["False", "None", "the end"], done.stderr
    assert "thread" not in done.stderr
    if each_python.version != (
        3,
        12,
    ):
        # 3.12.1 crashes at the end of any sub-interpreter that has loaded `ssl`.
        assert done.returncode == 0, done.stderr


def test_an_interruption_ends_sharing_while_no_name_server_answers(tmp_path: Path) -> None:
    first = program("networks_interrupted")
    code = f"HOST = 'collector.example'\n{first}\n{SHARING}"
    done = run_in_network(code, tmp_path)
    _, note, took_s = json.loads(done.stdout)
    assert note.startswith("Nothing was shared: it was interrupted.")
    assert took_s < 8  # the look-up itself takes ten
    assert done.returncode == -signal.SIGINT
