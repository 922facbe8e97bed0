"""The demonstration: a collector, real imports, and a session shared and deleted.

`scripts/demo` installs the distributions and the example package `rxinfer_py`, and runs this file.
Everything happens on this machine's loopback and in a temporary folder that is deleted afterwards.
The command `plaintally endpoint` points the example package to the collector, as a user would do
it.
"""

import argparse
import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.text import Text

from plaintally_server.reports.charts import terminal_bars
from plaintally_server.reports.facts import read_figures
from plaintally_server.store.opening import open_reader
from plaintally_server.store.reader import SQLReader

MODULE = "rxinfer_py"
PACKAGE = "rxinfer"
DEADLINE_S = 15.0
_IN_FLIGHT = 2  # of four senders that an environment has; the rest allows for a busy machine


def run(*, once: bool, port: int, imports: int) -> None:
    """Run the demonstration; with `once` end after it, else serve until Ctrl-C."""
    if importlib.util.find_spec(MODULE) is None:
        raise _failure(
            "the example package is not installed; type: pip install ./examples/rxinfer_py"
        )
    console = Console(highlight=False)
    # So that what is temporary goes then, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with tempfile.TemporaryDirectory(
        prefix="plaintally-demo-", ignore_cleanup_errors=True
    ) as folder:
        environment = _environment(Path(folder))
        contract = Path(folder) / "contract.json"
        database = Path(folder) / "demo.sqlite3"
        contract.write_bytes(_export(environment))
        with _collector(database, contract, port) as url:
            _plaintally(
                environment,
                "endpoint",
                PACKAGE,
                f"{url}v1/projects/demo/databases/(default)/documents",
            )
            console.print(
                f"\nA collector runs at {url}\nImporting [bold]{MODULE}[/] in {imports} "
                "processes:\n"
            )
            store = open_reader(database)
            _import(console, environment, store, imports)
            arrived = _wait_for(store, imports)
            if arrived != imports:
                raise _failure(
                    f"{arrived} of {imports} imports were counted; ask `plaintally status "
                    f"{PACKAGE}` what refuses"
                )
            _show(console, environment, open_reader(database), url)
            _share(console, environment, database, contract)
            if not once:
                console.print("It stays up until Ctrl-C.")
                _wait_for_the_end()


def _environment(folder: Path) -> dict[str, str]:
    """Return the variables of the importing processes: a home of their own, and counting turned on.

    The demonstration may run in CI or another place where counting is off by default.
    """
    home = str(folder / "home")
    own = dict.fromkeys(("HOME", "XDG_CONFIG_HOME", "APPDATA", "LOCALAPPDATA", "USERPROFILE"), home)
    return {**os.environ, **own, f"{PACKAGE.upper()}_TELEMETRY": "on"}


@contextmanager
def _collector(database: Path, contract: Path, port: int) -> Iterator[str]:
    """Run a collector in a process of its own; yield its URL."""
    command = [sys.executable, "-m", "plaintally_server", "serve", "--contract", str(contract)]
    command += ["--database", str(database)]
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("PLAINTALLY_SERVER_")
    }
    with subprocess.Popen(
        [*command, "--port", str(port)],
        stdout=subprocess.PIPE,
        text=True,
        env=clean,
        cwd=database.parent,
    ) as process:
        try:
            line = process.stdout.readline() if process.stdout else ""
            if "http" not in line:
                raise _failure("the collector did not start; its reason is above")
            yield line.split()[-1]
        finally:
            process.terminate()


def _plaintally(environment: Mapping[str, str], *arguments: str, key: str = "") -> bytes:
    """Return what the user's command prints; a deletion key goes in by its standard input."""
    command = [
        sys.executable,
        "-m",
        "plaintally",
        *arguments,
        *(["--key-file", "-"] if key else []),
    ]
    return subprocess.run(
        command,
        env=environment,
        input=key.encode(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=True,
    ).stdout


def _export(environment: Mapping[str, str]) -> bytes:
    """Return the contract of the example package; without one, the collector takes counts only."""
    try:
        return _plaintally(environment, "contract", "export", PACKAGE)
    except subprocess.CalledProcessError:
        return json.dumps({"package": PACKAGE}).encode()


def _import(
    console: Console, environment: Mapping[str, str], store: SQLReader, imports: int
) -> None:
    columns = (
        TextColumn("  imports"),
        BarColumn(complete_style="cyan", finished_style="cyan"),
        MofNCompleteColumn(),
    )
    try:
        with Progress(*columns, console=console) as progress:
            for number in progress.track(range(imports), total=imports):
                _import_once(environment)
                _wait_for(store, number - _IN_FLIGHT)
    except subprocess.CalledProcessError as error:
        reason = error.stderr.decode(errors="replace").splitlines()[-1:]
        raise _failure(
            f"{MODULE} cannot be imported ({''.join(reason)}); install it again"
        ) from error


def _import_once(environment: Mapping[str, str]) -> None:
    """Import the package in a process of its own, and keep its errors (Ctrl-C reaches it, too)."""
    command = [sys.executable, "-c", f"import {MODULE}"]
    subprocess.run(command, env=environment, check=True, stderr=subprocess.PIPE)


def _wait_for(store: SQLReader, imports: int) -> int:
    """Return the number of imports, once all have arrived or the deadline has passed."""
    deadline = time.monotonic() + DEADLINE_S
    while (arrived := store.total(PACKAGE)) < imports and time.monotonic() < deadline:
        time.sleep(0.05)
    return arrived


def _show(console: Console, environment: Mapping[str, str], store: SQLReader, url: str) -> None:
    sent = _plaintally(environment, "preview", PACKAGE).decode().replace("\r\n", "\n")
    console.print("\nWhat one process sends, to the byte:\n")
    for line in sent.splitlines():
        console.print(Text(f"  {line}", style="dim"), soft_wrap=True)
    series = read_figures(store, PACKAGE, length=30, now=datetime.now(UTC)).imports
    console.print(
        f"\nImports of [bold]{PACKAGE}[/] per day, as stored (one bar: all were made just now):\n"
    )
    console.print(
        Text(
            terminal_bars(
                series, width=console.width - 4, unicode=console.encoding.startswith("utf")
            )
        )
    )
    console.print(f"\nThe same as a page: [link]{url}packages/{PACKAGE}[/link]")


def _share(
    console: Console, environment: Mapping[str, str], database: Path, contract: Path
) -> None:
    """Let a user infer and share, a maintainer look the session up, and the user delete it."""
    note = database.with_name("note.json")
    console.print(
        "\nIn one more process somebody infers something, and decides to share what was logged:\n"
    )
    code = Path(__file__).with_name("user.py").read_text()
    command = [sys.executable, "-c", code, str(note)]  # a person's code: a package cannot share
    if subprocess.run(command, env=environment, check=False).returncode or not note.exists():
        raise _failure(f"{MODULE} could not infer or share; its reason is above")
    said = json.loads(note.read_text())
    looked_up = [
        "lookup",
        said["session"],
        "--contract",
        str(contract),
        "--database",
        str(database),
    ]
    console.print(
        f"\nThe maintainer sees what was shared (plaintally-server lookup {said['session']}):\n"
    )
    server = [sys.executable, "-m", "plaintally_server", *looked_up]
    console.print(
        Text(
            subprocess.run(
                server, capture_output=True, text=True, env=environment, check=True
            ).stdout
        ),
        soft_wrap=True,
    )
    console.print(
        "And it is taken back, with the key that only its user has (plaintally forget):\n"
    )
    forgotten = _plaintally(
        environment, "forget", said["session"], "--package", PACKAGE, key=said["key"]
    )
    console.print(Text(forgotten.decode()), soft_wrap=True)


def _wait_for_the_end() -> None:
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        pass


def _failure(reason: str) -> SystemExit:
    return SystemExit(f"demo: {reason}")


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="scripts/demo", description="Count a real package's imports in many processes."
    )
    parser.add_argument("--once", action="store_true", help="end after the demonstration")
    parser.add_argument("--port", type=int, default=0, help="port; 0 takes a free one")
    parser.add_argument("--imports", type=int, default=50, help="number of importing processes")
    options = parser.parse_args()
    try:
        run(once=options.once, port=options.port, imports=options.imports)
    except KeyboardInterrupt:
        raise _failure("interrupted") from None


if __name__ == "__main__":
    main()
