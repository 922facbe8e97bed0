"""Contracts of hosts: they cost an import nothing, behave as their classes do, and their mistakes
stop no host."""

import json
import subprocess
from pathlib import Path

import pytest

from hosts import PACKAGE, Host, Interpreter, MakeHost
from loopback import loopback
from programs import program

DECLARED = program("declaring_declared")
HANDLE = """
from plaintally import Telemetry
telemetry = Telemetry("hostpkg", version="1.2.3", endpoint={endpoint!r}, contract={contract})
telemetry.count_import()
"""
LOADED = f"""
import sys
before = set(sys.modules)
import {PACKAGE}
print(*sorted(set(sys.modules) - before))
"""


def write(
    made: Host, *, endpoint: str | None, contract: str = "CONTRACT", declared: str = DECLARED
) -> None:
    handle = HANDLE.format(endpoint=endpoint, contract=contract)
    (made.folder / PACKAGE / "__init__.py").write_text(declared + handle)


@pytest.mark.parametrize("said", [{}, {"PLAINTALLY": "off"}])
def test_a_contract_loads_no_module_at_import(host: MakeHost, said: dict[str, str]) -> None:
    with loopback() as server:
        made = host()
        loaded = []
        for contract in ("None", "CONTRACT"):
            write(
                made,
                endpoint=server.endpoint,
                contract=contract,
                declared="" if contract == "None" else DECLARED,
            )
            loaded.append(made.run(LOADED, env=said).stdout)
        assert loaded[0] == loaded[1]
        assert b"plaintally" in loaded[0]
        if not said:
            fields = [
                set(json.loads(request.partition(b"\r\n\r\n")[2])["fields"])
                for request in server.wait_for(2)
            ]
            assert sorted(fields, key=len) == [  # each process sends when it can, in any order
                {"id", "timestamp"},
                {"id", "timestamp", "package_version", "python_version"},
            ]


def test_a_contract_of_a_host_is_used_like_its_classes(
    each_python: Interpreter, tmp_path: Path
) -> None:
    process = Host(each_python, tmp_path, tmp_path)
    deferred = program("declaring_uses", IMPORTED=DECLARED, IS_LOADED=False)
    dear = "from plaintally import Telemetry\nfrom plaintally.contract import"
    imported = DECLARED.replace(", Telemetry\n", "\n").replace("from plaintally import", dear)
    real = program("declaring_uses", IMPORTED=imported, IS_LOADED=True)
    told = [process.run(code) for code in (deferred, real)]
    assert [(done.returncode, done.stderr) for done in told] == [(0, b"")] * 2
    assert told[0].stdout == told[1].stdout


def test_a_contract_is_what_its_author_gave_at_that_time(host: MakeHost) -> None:
    code = program("declaring_changed_later")
    assert host().run(code).stdout == b"('python_version',) {'one': ['a'], 'two': ['a', 'b']}\n"


MISTAKES = {
    "Contract(labels={'fit': Label({'steps': Integer(5, 1)})})": "two whole numbers",
    "Contract(labels={'fit': Label({'steps': Integer()})})": "Integer is declared wrongly",
    "Contract(labels={'fit': Label({'steps': 3})})": "needs a kind",
    "Contract(labels={'fit': Label(columns={'A': 'b'})})": "does not declare",
    "Contract(labels=['fit'])": "must be a dict",
    "Contract(wrong=1)": "Contract is declared wrongly",
    "Contract(counter=['user_name'])": "out of package_version",
    "Contract(counter=['python_version'] * 2)": "out of package_version",
    "Contract(counter=[[]])": "out of package_version",
    "Contract(counter='python_version')": "must be a list",
    "Contract(counter=3)": "must be a list",
    "Label()": "must be a Contract",
}
RUN = program("declaring_run")


@pytest.mark.parametrize("contract", MISTAKES)
def test_an_authors_mistake_stops_no_host(host: MakeHost, contract: str) -> None:
    with loopback() as server:
        made = host()
        write(made, endpoint=server.endpoint, contract=contract)
        done = made.run(RUN)
        told = done.stdout.decode().split("\n", 1)
        assert told[0] == "3 SkippedInvoke None"
        assert MISTAKES[contract] in told[1]
        assert MISTAKES[contract] in done.stderr.decode()
        assert b"ContractError" in done.stderr
        is_counted = "counter" not in contract and contract != "Label()"
        assert len(server.wait_for(1, seconds=15 if is_counted else 1)) == is_counted


@pytest.mark.long(keep=3)
@pytest.mark.parametrize("contract", MISTAKES)
def test_the_command_reports_an_authors_mistake_and_works_on(
    author_host: MakeHost, contract: str
) -> None:
    made = author_host()
    write(made, endpoint="https://telemetry.example.org/v1", contract=contract)
    checked = made.plaintally("contract", "check", PACKAGE)
    assert checked.returncode == 1
    assert MISTAKES[contract] in checked.stderr
    status = made.plaintally("status", PACKAGE)
    assert status.returncode == 0
    assert MISTAKES[contract] in status.stdout
    assert made.plaintally("off", PACKAGE).returncode == 0


@pytest.mark.parametrize(
    ("said", "options"),
    [
        ({name: "1"}, ())
        for name in (
            "PYTEST_VERSION",
            "PYTEST_CURRENT_TEST",
            "TOX_ENV_NAME",
            "NOX_CURRENT_SESSION",
            "CI",
        )
    ]
    + [({}, ("-X", "dev")), ({"PLAINTALLY": "off", "CI": "true"}, ())],
)
def test_an_authors_mistake_raises_under_tests(
    host: MakeHost, said: dict[str, str], options: tuple[str, ...]
) -> None:
    made = host()
    for contract, message in MISTAKES.items():
        write(made, endpoint=None, contract=contract)
        done = made.run(f"import {PACKAGE}", *options, env=said)
        assert message in done.stderr.decode(), contract
        assert b"plaintally.exceptions.ContractError: " in done.stderr
        assert done.returncode == 1


def test_an_authors_mistake_raises_under_unittest(host: MakeHost) -> None:
    made = host()
    write(made, endpoint=None, contract="Contract(counter=['user_name'])")
    (made.folder / "test_it.py").write_text(f"import {PACKAGE}")
    command = [str(made.interpreter.python), "-m", "unittest", "test_it"]
    done = subprocess.run(
        command, env=made.environment(), cwd=made.folder, capture_output=True, check=False
    )
    assert b"ContractError" in done.stderr


@pytest.mark.parametrize("version", ["None", "''", "'unknown'", "0", "'x' * 10**6", "'1\\n\"'"])
def test_a_version_of_the_environment_stops_no_host(host: MakeHost, version: str) -> None:
    with loopback() as server:
        made = host()
        handle = HANDLE.replace("'1.2.3'", version).replace('"1.2.3"', version)
        code = DECLARED + handle.format(endpoint=server.endpoint, contract="CONTRACT")
        (made.folder / PACKAGE / "__init__.py").write_text(code)
        for said in ({"PYTEST_VERSION": "8"}, {"PLAINTALLY": "off"}, {}):
            done = made.run(
                f"import {PACKAGE}; {PACKAGE}.telemetry.session; {PACKAGE}.telemetry.status()",
                env=said,
            )
            assert (done.returncode, done.stderr) == (0, b"")
        [request] = server.wait_for(1)
        fields = json.loads(request.partition(b"\r\n\r\n")[2])["fields"]
        assert set(fields) - {"package_version"} == {"id", "timestamp", "python_version"}
        assert fields.get("package_version", {"stringValue": "1"}) == {"stringValue": "1"}
