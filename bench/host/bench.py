"""Run hosts: prepare a command and its variables, measure it, and count what arrived."""

import json
import os
import statistics
import subprocess
import sys
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from host import environments, servers
from host.systems import System

HERE = Path(__file__).parent


class Case(NamedTuple):
    """A host that is measured: a system, and in which surroundings.

    Attributes:
        name: what the results call it.
        system: whose environment it runs in and whose module it imports.
        before: a module that the host had loaded before, or "".
        variables: more environment variables.
        preferences: what the user's preferences file says, or "".
    """

    name: str
    system: System
    before: str = ""
    variables: tuple[tuple[str, str], ...] = ()
    preferences: str = ""


class Spread(NamedTuple):
    """What many measurements came to."""

    median: float
    low: float
    high: float
    least: float
    number: int


def spread(values: Iterable[float]) -> Spread:
    """The median, the quartiles, the least, and of how many."""
    found = sorted(values)
    low, _, high = (
        statistics.quantiles(found, n=4, method="inclusive") if len(found) > 1 else found * 3
    )
    middle = statistics.median(found)
    return Spread(round(middle, 4), round(low, 4), round(high, 4), round(found[0], 4), len(found))


@dataclass(frozen=True)
class Bench:
    """The servers that run, and a folder for all that hosts write."""

    folder: Path
    urls: Mapping[str, Mapping[str, str]]
    certificates: Path

    def run(
        self,
        case: Case,
        mode: str = "healthy",
        *,
        probe: str = "import_host.py",
        end: str = "",
        cap_s: float = 30.0,
        settle_s: float = 8.0,
        home: Path | None = None,
        working: Path | None = None,
        arguments: tuple[str, ...] = (),
        within: tuple[str, ...] = (),
    ) -> dict[str, Any]:
        """Run one host to its end, and give what `launch` says of it."""
        report = self.folder / f"report-{uuid.uuid4()}"
        variables = self.variables(case, mode, home or self.home(case)) | {
            "BENCH_REPORT": str(report)
        }
        if end:
            variables["BENCH_END"] = end
        script = str(HERE / "probes" / probe)  # which an absolute path replaces
        specification = {
            "command": [*within, environments.python(case.system), script, *arguments],
            "variables": variables,
            "folder": str(working or variables["HOME"]),
            "report": str(report),
            "cap_s": cap_s,
            "settle_s": settle_s,
        }
        command = [sys.executable, "-I", "-S", str(HERE / "launch.py"), json.dumps(specification)]
        completed = subprocess.run(command, capture_output=True, check=True)
        found: dict[str, Any] = json.loads(completed.stdout)
        found["stderr"] = Path(f"{report}.2").read_text(errors="replace")[-2000:]
        return found

    def home(self, case: Case) -> Path:
        """The home of a case's hosts, which the next of them finds again."""
        home = self.folder / "homes" / case.name
        if not home.exists():
            home.mkdir(parents=True)
            if case.preferences:
                path = home / ".config/plaintally/preferences.toml"
                path.parent.mkdir(parents=True)
                path.write_text(case.preferences)
        return home

    def variables(self, case: Case, mode: str, home: Path) -> dict[str, str]:
        """The environment of a host: little, and none of ours."""
        url = self.urls[mode][case.name]
        found = {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "HOME": str(home),
            "TMPDIR": str(home),
            "PYTHONPATH": str(HERE / "peers"),
            "BENCH_URL": url,
        }
        if case.system.module:
            found["BENCH_MODULE"] = case.system.module
        if case.before:
            found["BENCH_BEFORE"] = case.before
        if mode == "tls":
            found |= dict.fromkeys(("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"), str(self.certificates))
        given = (*case.system.variables, *case.variables)
        return found | {
            name: value.format(url=url, certificates=self.certificates) for name, value in given
        }

    def received(self, case: Case, mode: str, *, since: int = 0) -> list[bytes]:
        """All requests of a case's hosts so far, in order, without the first `since` of them."""
        return servers.requests(self.folder / "requests", mode, case.name, since=since)
