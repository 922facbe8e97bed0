"""The notice, at a real terminal."""

import os

import pytest

from conftest import MakeHost
from hosts import PACKAGE, Host
from loopback import loopback
from terminals import see_at_terminal


def run_at_terminal(host: Host, *options: str, code: str = f"import {PACKAGE}") -> str:
    """Run a host with a terminal at its standard streams; return what a person sees."""
    command = [str(host.interpreter.python), *options, "-c", code]
    return see_at_terminal(command, env=host.environment(), cwd=host.folder)


def test_notice_first_sends_nothing_before_a_person_was_told(host: MakeHost) -> None:
    with loopback() as server:
        told = host(endpoint=server.endpoint, policy="notice-first", privacy_url="https://example.org/privacy")
        told.run()  # nobody there to read it
        seen = run_at_terminal(told)
        assert server.connections == 0
        assert len(seen.splitlines()) <= 3
        assert "hostpkg counts how often it is imported" in seen
        assert "https://example.org/privacy" in seen
        assert "plaintally off hostpkg" in seen
        assert "HOSTPKG_TELEMETRY=off" in seen
        assert run_at_terminal(told) == ""  # once only, and from now on it counts
        told.run()
        assert len(server.wait_for(2)) == 2


def test_opt_out_tells_a_person_once_and_nobody_else(host: MakeHost) -> None:
    with loopback() as server:
        told = host(endpoint=server.endpoint)
        told.run()
        assert list(told.home.iterdir()) == []
        assert "hostpkg counts" in run_at_terminal(told)
        assert run_at_terminal(told) == ""
        assert len(server.wait_for(3)) == 3


@pytest.mark.linux
def test_a_pipe_in_the_place_of_the_record_blocks_nothing(host: MakeHost) -> None:
    with loopback() as server:
        told = host(endpoint=server.endpoint, policy="notice-first")
        record = told.preferences.parent / "notices" / PACKAGE
        record.parent.mkdir(parents=True)
        os.mkfifo(record)
        assert run_at_terminal(told) == ""
        assert server.connections == 0


def test_a_wider_contract_is_told_again_and_a_narrower_one_is_not(host: MakeHost) -> None:
    with loopback() as server:
        told = host(endpoint=server.endpoint, version="1.0", policy="notice-first")
        module = told.folder / PACKAGE / "__init__.py"
        narrow = module.read_text()
        wide = narrow.replace("import Telemetry", "import Contract, Telemetry").replace(
            "version='1.0'", "version='1.0', contract=Contract(counter=['package_version'])"
        )
        assert "the hour, nothing else" in run_at_terminal(told)
        module.write_text(wide)
        told.run()
        assert server.connections == 0
        assert "the package version" in run_at_terminal(told)
        module.write_text(narrow)
        assert run_at_terminal(told) == ""
        assert len(server.wait_for(1)) == 1


@pytest.mark.parametrize("refusal", ["PLAINTALLY", "CI"])
def test_who_has_refused_is_not_told(host: MakeHost, refusal: str) -> None:
    told = host(endpoint="https://telemetry.example.org/v1/documents", policy="notice-first")
    told.prefer("counter = false\n")
    assert run_at_terminal(told) == ""
    told.preferences.unlink()
    code = f"import os; os.environ[{refusal!r}] = '0' if {refusal!r} == 'PLAINTALLY' else '1'; import {PACKAGE}"
    assert run_at_terminal(told, code=code) == ""


def test_opt_in_stores_and_says_nothing(host: MakeHost) -> None:
    told = host(endpoint="https://telemetry.example.org/v1/documents", policy="opt-in")
    assert run_at_terminal(told) == ""
    assert list(told.home.iterdir()) == []


def test_a_prompt_that_nobody_reads_is_shown_nothing_and_sends_nothing(host: MakeHost) -> None:
    with loopback() as server:
        told = host(endpoint=server.endpoint, policy="notice-first")
        for _ in range(2):
            done = told.run(f"import {PACKAGE}", "-i")
            assert b"counts how often" not in done.stderr
        assert server.connections == 0
        assert not told.preferences.parent.exists()


def test_a_notice_that_could_not_be_written_was_not_shown(host: MakeHost) -> None:
    with loopback() as server:
        told = host(endpoint=server.endpoint)
        broken = f"""
import sys
class Broken:
    def write(self, text): raise RuntimeError("a stream of the host's")
    def flush(self): pass
    def isatty(self): return True
kept, sys.stderr = sys.stderr, Broken()
import {PACKAGE}
sys.stderr = kept
"""
        assert run_at_terminal(told, code=broken) == ""
        assert len(server.wait_for(1)) == 1  # it is counted all the same
        assert "hostpkg counts" in run_at_terminal(told)


def test_a_notice_that_cannot_be_remembered_is_not_shown(host: MakeHost) -> None:
    told = host(endpoint="https://telemetry.example.org/v1/documents", policy="notice-first")
    (told.home / ".config").write_text("a file where a folder should be")
    assert run_at_terminal(told) == ""
