"""The handle: an author's mistakes are told at construction, and a user's words have effect."""

import pytest

from hosts import PACKAGE, MakeHost
from loopback import loopback
from plaintally._spawn import parse_endpoint
from programs import program

GOOD = "https://telemetry.example.org/v1/projects/p/databases/(default)/documents"


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        (
            GOOD,
            ("https", "telemetry.example.org", 443, "/v1/projects/p/databases/(default)/documents"),
        ),
        (
            GOOD + "/",
            ("https", "telemetry.example.org", 443, "/v1/projects/p/databases/(default)/documents"),
        ),
        ("HTTPS://Example.ORG:8443/a/%28b%29/", ("https", "example.org", 8443, "/a/%28b%29")),
        (f"https://{'a' * 63}.org./x", ("https", f"{'a' * 63}.org.", 443, "/x")),
        ("http://localhost:80/x", ("http", "localhost", 80, "/x")),
        ("http://[::1]:8080/x", ("http", "[::1]", 8080, "/x")),
        ("http://127.8.9.10/x", ("http", "127.8.9.10", 80, "/x")),
    ],
)
def test_an_endpoint_is_taken_apart(url: str, parts: tuple[str, str, int, str]) -> None:
    endpoint = parse_endpoint(url)
    assert (endpoint.scheme, endpoint.host, endpoint.port, endpoint.path) == parts
    assert vars_of(parse_endpoint(str(endpoint))) == vars_of(endpoint)


def vars_of(endpoint: object) -> dict[str, object]:
    return {name: getattr(endpoint, name) for name in ("scheme", "host", "port", "path")}


def test_a_process_that_refused_is_counted_when_its_user_enables_it_once(host: MakeHost) -> None:
    code = f"""
        import {PACKAGE}
        print({PACKAGE}.telemetry.enable_counter(persist=False).rule)
        {PACKAGE}.telemetry.enable_counter(persist=False)
    """
    with loopback() as server:
        asked = host(endpoint=server.endpoint)
        assert asked.run(code, env={"CI": "true"}).stdout == b"argument\n"
        assert len(server.wait_for(1)) == 1
        asked.run()
        assert len(server.wait_for(2)) == 2
    assert not asked.choices.exists()


def test_enabling_for_good_counts_from_the_next_start_on(host: MakeHost) -> None:
    with loopback() as server:
        asked = host(endpoint=server.endpoint, policy="opt-in")
        assert (
            b"allowed=True"
            in asked.run(f"import {PACKAGE}; print({PACKAGE}.telemetry.enable_counter())").stdout
        )
        assert server.connections == 0
        asked.run()
        assert len(server.wait_for(1)) == 1


def test_disabling_says_what_stands_against_it(host: MakeHost) -> None:
    asked = host(endpoint=GOOD)
    code = f"import {PACKAGE}; print({PACKAGE}.telemetry.disable_counter())"
    done = asked.run(code, env={"LOG_USING_HOSTPKG": "on", "HTTPS_PROXY": "socks5://127.0.0.1:1"})
    assert done.stdout.decode().startswith("Decision(allowed=True, rule='log-using variable'")


def test_another_endpoint_is_kept_for_the_next_start(host: MakeHost) -> None:
    with loopback() as server:
        asked = host(endpoint=None)
        asked.run(f"import {PACKAGE}; {PACKAGE}.telemetry.set_endpoint({server.endpoint!r})")
        assert server.connections == 0
        asked.run()
        assert len(server.wait_for(1)) == 1
        refused = asked.run(f"import {PACKAGE}; {PACKAGE}.telemetry.set_endpoint('example.org')")
        assert b"ConfigurationError" in refused.stderr
        assert server.endpoint in asked.choices.read_text()


def test_a_host_never_learns_of_trouble_inside(host: MakeHost) -> None:
    """The operating system has no randomness, no folder, no time: the import works all the same."""
    asked = host(endpoint=GOOD)
    for broken in ("os.urandom", "os.getcwd", "os.stat", "time.time_ns"):
        code = program("telemetry_broken_system", BROKEN=broken, ENDPOINT=repr(GOOD))
        done = asked.run(code, env={"HTTPS_PROXY": "socks5://127.0.0.1:1"})
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
