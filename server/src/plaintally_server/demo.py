"""The demonstration: a collector, a real package imported in many real processes, and what came of it.

Everything happens on this machine's loopback and in a temporary folder that is gone afterwards; the home of whoever
runs it is not looked at. The example package is told of the collector the way a person would do it, with the command
`plaintally endpoint`.
"""

import importlib.util
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.text import Text

from plaintally_server.dashboard import read_series
from plaintally_server.exceptions import StartError
from plaintally_server.reports.charts import terminal_bars
from plaintally_server.store.sqlite import SQLiteReader

MODULE = "rxinfer_py"
PACKAGE = "rxinfer"
DEADLINE_S = 15.0
_AT_ONCE = 4


def run(*, once: bool, port: int, imports: int) -> None:
    """Run the demonstration; with `once` end after it, else serve until Ctrl-C.

    Raises:
        StartError: the example package is not installed, the collector does not start, or counts went missing.
    """
    if importlib.util.find_spec(MODULE) is None:
        raise StartError("the example package is not installed; type: pip install ./examples/rxinfer_py")
    console = Console(highlight=False)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # so that what is temporary goes then, too
    with tempfile.TemporaryDirectory(prefix="plaintally-demo-", ignore_cleanup_errors=True) as folder:
        database = Path(folder) / "demo.sqlite3"
        with _collector(database, port) as url:
            environment = _environment(Path(folder))
            _plaintally(environment, "endpoint", PACKAGE, f"{url}v1/projects/demo/databases/(default)/documents")
            console.print(f"\nA collector runs at {url}\nImporting [bold]{MODULE}[/] in {imports} processes:\n")
            _import(console, environment, imports)
            arrived = _wait_for(SQLiteReader(database), imports)
            if arrived != imports:
                raise StartError(
                    f"{arrived} of {imports} imports were counted; ask `plaintally status {PACKAGE}` what refuses"
                )
            _show(console, environment, SQLiteReader(database), url)
            if not once:
                console.print("It stays up until Ctrl-C.")
                _wait_for_the_end()


def _environment(folder: Path) -> dict[str, str]:
    """The variables of the importing processes: a home of their own, and their user's word for counting them.

    The demonstration may run in CI or another place where counting is refused by default.
    """
    home = str(folder / "home")
    own = dict.fromkeys(("HOME", "XDG_CONFIG_HOME", "APPDATA", "LOCALAPPDATA", "USERPROFILE"), home)
    return {**os.environ, **own, f"{PACKAGE.upper()}_TELEMETRY": "on"}


@contextmanager
def _collector(database: Path, port: int) -> Iterator[str]:
    """A collector in a process of its own; its URL."""
    command = [sys.executable, "-m", "plaintally_server", "serve", "--package", PACKAGE, "--database", str(database)]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PLAINTALLY_SERVER_")}
    with subprocess.Popen(
        [*command, "--port", str(port)], stdout=subprocess.PIPE, text=True, env=clean, cwd=database.parent
    ) as process:
        try:
            line = process.stdout.readline() if process.stdout else ""
            if "http" not in line:
                raise StartError("the collector did not start; its reason is above")
            yield line.split()[-1]
        finally:
            process.terminate()


def _plaintally(environment: Mapping[str, str], *arguments: str) -> bytes:
    command = [sys.executable, "-m", "plaintally", *arguments]
    return subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True
    ).stdout


def _import(console: Console, environment: Mapping[str, str], imports: int) -> None:
    columns = (TextColumn("  imports"), BarColumn(complete_style="cyan", finished_style="cyan"), MofNCompleteColumn())
    pool = ThreadPoolExecutor(_AT_ONCE)
    try:
        with Progress(*columns, console=console) as progress:
            done = pool.map(lambda _: _import_once(environment), range(imports))
            for _ in progress.track(done, total=imports):
                pass
    except subprocess.CalledProcessError as error:
        reason = error.stderr.decode(errors="replace").splitlines()[-1:]
        raise StartError(f"{MODULE} cannot be imported ({''.join(reason)}); install it anew") from error
    finally:
        pool.shutdown(cancel_futures=True)


def _import_once(environment: Mapping[str, str]) -> None:
    """Import the package in a process of its own, whose complaints (Ctrl-C reaches it, too) are not printed."""
    command = [sys.executable, "-c", f"import {MODULE}"]
    subprocess.run(command, env=environment, check=True, stderr=subprocess.PIPE)


def _wait_for(store: SQLiteReader, imports: int) -> int:
    """The number of counts, once all have arrived or the deadline is over."""
    deadline = time.monotonic() + DEADLINE_S
    while (arrived := store.total(PACKAGE)) < imports and time.monotonic() < deadline:
        time.sleep(0.05)
    return arrived


def _show(console: Console, environment: Mapping[str, str], store: SQLiteReader, url: str) -> None:
    sent = _plaintally(environment, "preview", PACKAGE).decode().replace("\r\n", "\n")
    console.print("\nWhat one process sends, to the byte:\n")
    for line in sent.splitlines():
        console.print(Text(f"  {line}", style="dim"), soft_wrap=True)
    series = read_series(store, PACKAGE, length=30, now=datetime.now(UTC))
    console.print(f"\nImports of [bold]{PACKAGE}[/] per day, as stored (one bar: all were made just now):\n")
    console.print(Text(terminal_bars(series, width=console.width - 4, unicode=console.encoding.startswith("utf"))))
    console.print(f"\nThe same as a page: [link]{url}packages/{PACKAGE}[/link]")


def _wait_for_the_end() -> None:
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        pass
