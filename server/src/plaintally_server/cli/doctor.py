"""What a collector needs, and whether it has it: one finding for each thing, in words for whoever runs it.

It looks and changes nothing, also beside a running collector. It takes no longer for a large
database than for a small one, unless it is asked to read the whole file for damage.
"""

import ctypes
import http.client
import os
import shutil
import stat
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from datetime import date, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from plaintally_server.cli.options import collect_contracts
from plaintally_server.exceptions import ServerError
from plaintally_server.jobs.scheduler import LAGGING, LONG_LAG, describe_lag
from plaintally_server.settings import find_token
from plaintally_server.store import replace
from plaintally_server.store.database import Database, describe, exists, telling
from plaintally_server.store.filesystems import NETWORK, PASSING, find_type
from plaintally_server.store.inspection import Inspection, look_at
from plaintally_server.store.maintenance import MaintenanceReader

if TYPE_CHECKING:
    from plaintally_server.store.server_state import ServerState

SCARCE_BYTES, AMPLE_BYTES = 64 * 2**20, 2**30
_LEAST_POSTGRESQL = 150_000
_TIMEOUT_S = 5
_LONG_UNERASED = timedelta(hours=1)
_CLOCKS_APART = timedelta(minutes=1)
_TIME_ERROR = 5  # what adjtimex(2) returns where nothing disciplines the clock


class Finding(NamedTuple):
    """What was found of one thing; where it is not ok, `says` also tells what to do."""

    state: Literal["ok", "warning", "failed"]
    about: str
    says: str


def examine(
    *,
    now: datetime,
    database: Database,
    packages: Sequence[str],
    contracts: Sequence[Path],
    full: bool,
    **options: Any,  # noqa: ANN401
) -> Iterator[Finding]:
    """Look at everything in turn; the options are those of `serve`, and whether to read the whole of a file."""
    inspection = None
    try:
        with telling(f"cannot read the database {describe(database)}"):
            yield from _check_files(database)
            if exists(database):
                inspection = look_at(database, now=now, full=full)
            elif isinstance(database, Path):
                replace.check_place(database)
    except ServerError as error:
        yield Finding("failed", "database", str(error))
    if inspection is not None:
        yield check_tables(inspection, is_server=isinstance(database, str))
        if isinstance(database, str):
            yield from _check_server(database)
        yield from _check_erasing(database, inspection, now)
    made = 0
    if (
        inspection is None or inspection.tables == "current"
    ):  # asking an older one would bring it forward
        yield _check_contracts(database, contracts, packages)
    if inspection is not None and inspection.tables == "current":
        try:
            made = _count_tokens(database)
        except ServerError as error:
            yield Finding("failed", "token", str(error))
    yield _check_token(options["token"], options["token_file"], made, is_new=inspection is None)
    yield _check_proxies(options["trusted_proxies"], options["host"])
    yield check_clock(now, inspection, is_synchronized=_is_synchronized())
    yield _check_listening(options["host"], options["port"])


def check_tables(inspection: Inspection, *, is_server: bool = False) -> Finding:
    """Whether the tables are those of this program; a collector brings those of a file forward, and no server's."""
    if inspection.tables == "newer":
        return Finding("failed", "tables", "they are of a newer version; update plaintally-server")
    if inspection.tables == "older":
        older = "older, or not there" if is_server else "older"
        says = f"they are {older}; back up, then run `plaintally-server migrate`"
        return Finding("failed" if is_server else "warning", "tables", says)
    if inspection.is_sound:
        return Finding(
            "ok", "tables", "they are of this version, and every page of the file is sound"
        )
    return Finding("ok", "tables", "they are of this version")


def _check_server(address: str) -> Iterator[Finding]:
    """Whether a PostgreSQL server keeps what it acknowledged."""
    from plaintally_server.store.server_state import look_at_server  # which needs the extra

    try:
        state = look_at_server(address)
    except ServerError as error:
        yield Finding("failed", "postgresql", str(error))
        return
    found = [*find_dangers(state)]
    yield from found
    if not found:
        says = (
            "it is behind a pooler; a direct connection is faster"
            if state.is_pooled
            else "it waits for its disk"
        )
        yield Finding("ok", "postgresql", says)


def find_dangers(state: "ServerState") -> Iterator[Finding]:
    """What makes acknowledged data unsafe on a server, or stops the collector."""
    failures = {
        "it is a standby, which only reads; name the primary": state.is_standby,
        f"it is older than 15 ({state.version // 10_000}); update it": state.version
        < _LEAST_POSTGRESQL,
        "fsync is off, so a crash of the machine loses or damages everything; turn it on": not state.has_fsync,
        "full_page_writes is off, so a crash of the machine may damage pages; turn it on": not state.has_full_pages,
        f"its encoding is {state.encoding}; make a database with the encoding UTF8": state.encoding
        != "UTF8",
    }
    for says, is_so in failures.items():
        if is_so:
            yield Finding("failed", "postgresql", says)
    for name in state.unlogged:
        says = f"the table {name} is unlogged, so a crash empties it; run ALTER TABLE {name} SET LOGGED"
        yield Finding("failed", "postgresql", says)
    if state.synchronous_commit in ("off", "local"):
        says = f"synchronous_commit is {state.synchronous_commit}; the collector turns it on for itself, and you should"
        yield Finding(
            "warning", "postgresql", f"{says} for copies and restores with other programs"
        )
    if state.has_late_standbys:
        says = "no commit waits for its standbys, so a failover may lose what was acknowledged last"
        yield Finding("warning", "postgresql", f"{says}; set synchronous_standby_names")


def check_clock(now: datetime, inspection: Inspection | None, *, is_synchronized: bool) -> Finding:
    """Whether the clock can be right: days are counted by it."""
    if inspection and inspection.future:
        return Finding("failed", "clock", _tell_future(inspection.future, now))
    if inspection and inspection.time and abs(now - inspection.time) > _CLOCKS_APART:
        return Finding(
            "failed",
            "clock",
            f"it says {now:%H:%M:%S}, PostgreSQL's {inspection.time:%H:%M:%S}; set both",
        )
    if inspection and inspection.lag and inspection.lag > LONG_LAG:
        says = f"{now:%Y-%m-%d %H:%M} UTC; {LAGGING % describe_lag(inspection.lag)}"
        return Finding("warning", "clock", says)
    if not is_synchronized:
        return Finding(
            "warning",
            "clock",
            f"{now:%Y-%m-%d %H:%M} UTC, but nothing keeps it right; run an NTP client",
        )
    return Finding("ok", "clock", f"{now:%Y-%m-%d %H:%M} UTC")


def _tell_future(future: Mapping[str, tuple[date, date]], now: datetime) -> str:
    """Return what to do about imports on days that have not begun."""
    found = ", ".join(f"{name} from {first} to {last}" for name, (first, last) in future.items())
    commands = [
        f"`plaintally-server strike add {name} --from {first} --until {last + timedelta(days=1)} "
        "--reason 'The clock was ahead'`"
        for name, (first, last) in future.items()
    ]
    return (
        f"it says {now:%Y-%m-%d}, but there are imports of future days: {found}. If it is wrong, "
        "set it right; "
        f"if it was ahead then, exclude these imports with {' and '.join(commands)}"
    )


def check_disk(free_bytes: int, database_bytes: int) -> Finding:
    """Whether there is room to go on, and for copies of the database, which backups are."""
    says = f"{free_bytes / 2**20:,.0f} MiB are free beside the database"
    if free_bytes < SCARCE_BYTES:
        return Finding("failed", "disk", f"{says}; make room before it is full")
    if free_bytes < max(AMPLE_BYTES, 2 * database_bytes):
        return Finding(
            "warning",
            "disk",
            f"{says}; a backup and a restore need twice its size, and 1 GiB is little",
        )
    return Finding("ok", "disk", says)


def check_erasing(free_bytes: int, needed_bytes: int) -> Finding:
    """Whether there is room to erase what is deleted, which takes a copy of what was shared."""
    needed = (
        f"{needed_bytes / 2**20:,.0f} MiB are needed beside the database to erase what is deleted"
    )
    if free_bytes < needed_bytes:
        return Finding(
            "failed", "erasing", f"{needed}, and {free_bytes / 2**20:,.0f} MiB are free; make room"
        )
    return Finding("ok", "erasing", needed)


def _check_erasing(database: Database, inspection: Inspection, now: datetime) -> Iterator[Finding]:
    if isinstance(database, Path) and inspection.erasing is not None:
        yield check_erasing(shutil.disk_usage(database.absolute().parent).free, inspection.erasing)
    if inspection.unerased_since is not None:
        yield check_unerased(inspection.unerased_since, now)


def check_unerased(since: datetime, now: datetime) -> Finding:
    """Whether the bytes of what was deleted are erased in time."""
    says = f"bytes of sessions deleted since {since:%Y-%m-%d %H:%M} UTC are still to be erased"
    if now - since > _LONG_UNERASED:
        remedy = "run a collector, end programs that read the database for long, and see the log"
        return Finding("warning", "erasing", f"{says}; {remedy}")
    return Finding("ok", "erasing", says)


def _check_contracts(database: Database, paths: Sequence[Path], packages: Sequence[str]) -> Finding:
    try:
        with telling(f"cannot read the database {describe(database)}"):
            names = sorted(collect_contracts(database, paths, packages))
            strays = _find_strays(database, names) if exists(database) else []
    except ServerError as error:
        return Finding("failed", "contracts", str(error))
    if not names:
        return Finding(
            "failed", "contracts", "nothing to collect; name a package or add a contract"
        )
    if strays:
        says = f"of {', '.join(names)}; documents of {', '.join(strays)} stay for ever unless these are named, too"
        return Finding("warning", "contracts", says)
    return Finding("ok", "contracts", f"of {', '.join(names)}")


def _find_strays(database: Database, names: Sequence[str]) -> Sequence[str]:
    """The packages that have documents and none of these names: nobody purges them."""
    return [
        name for name in MaintenanceReader(database).packages_with_documents() if name not in names
    ]


def _check_token(token: str | None, path: Path | None, made: int, *, is_new: bool) -> Finding:
    if not token and path is None:
        if made:
            return Finding(
                "ok", "token", f"{made} {'was' if made == 1 else 'were'} made and not revoked"
            )
        says = "there is no token, so documents cannot be read; make one with `plaintally-server token create`"
        says += " once it has been started" if is_new else ""
        return Finding("warning", "token", says)
    try:
        find_token(token, path)
    except ServerError as error:
        return Finding("failed", "token", str(error))
    if token or path is None:
        return Finding("ok", "token", "there is one")
    return _check_owner_only("token", path)


def _check_proxies(trusted: Sequence[str], host: str) -> Finding:
    if not trusted and host in ("127.0.0.1", "::1", "localhost"):
        says = "none is trusted, so all clients behind one share its rate limit; name it with --trusted-proxy"
        return Finding("warning", "proxies", says)
    return Finding("ok", "proxies", f"trusted: {', '.join(trusted) or 'none'}")


def _count_tokens(database: Database) -> int:
    with telling(f"cannot read the database {describe(database)}"):
        return sum(token.revoked_at is None for token in MaintenanceReader(database).tokens())


def _check_files(database: Database) -> Iterator[Finding]:
    """Whether the database and its folder can be written, by us alone, and how much room there is."""
    if isinstance(database, str):
        return
    folder = database.absolute().parent
    if not folder.is_dir():
        yield Finding("failed", "database", f"there is no folder {folder}; make it")
        return
    is_there = os.access(database, os.F_OK)  # which does not raise where its folder is closed to us
    if not os.access(folder, os.W_OK | os.X_OK) or (is_there and not os.access(database, os.W_OK)):
        yield Finding(
            "failed",
            "permissions",
            f"{database} and its folder must be writable; run this as its owner, or `chmod` them",
        )
    elif is_there:
        yield _check_owner_only("permissions", database)
    else:
        yield Finding("ok", "permissions", f"{database} can be made")
    yield from check_file_system(find_type(folder.resolve()))
    size = database.stat().st_size if is_there else 0
    yield check_disk(shutil.disk_usage(folder).free, size)


def check_file_system(kind: str | None) -> Iterator[Finding]:
    """Whether a file system of this type keeps what SQLite needs; nothing is reported if that is unknown."""
    if kind in NETWORK:
        says = f"{kind} is shared with other machines, where SQLite's locks do not hold; use a local disk or PostgreSQL"
        yield Finding("failed", "filesystem", says)
    elif kind in PASSING:
        says = f"{kind} ends with the machine or the container, and the data with it; use a disk or a volume"
        yield Finding("warning", "filesystem", says)
    elif kind is not None:
        yield Finding("ok", "filesystem", kind)


def _check_owner_only(about: str, path: Path) -> Finding:
    if os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & 0o077:
        return Finding("warning", about, f"others can read {path}; `chmod 600` it")
    return Finding("ok", about, f"{path} is its owner's only")


def _is_synchronized() -> bool:
    """Whether the kernel says that something keeps its clock right; where it cannot say, true."""
    if not sys.platform.startswith("linux"):
        return True
    timex = ctypes.create_string_buffer(512)  # all zero: it only asks; the structure is shorter
    return int(ctypes.CDLL(None).adjtimex(timex)) != _TIME_ERROR


def _check_listening(host: str, port: int) -> Finding:
    place = f"{f'[{host}]' if ':' in host else host}:{port}"
    try:
        status = _ask(host, port)
    except ConnectionRefusedError:
        return Finding(
            "warning",
            "listening",
            f"nothing answers at {place}; start it with `plaintally-server serve`",
        )
    except (OSError, http.client.HTTPException) as error:
        return Finding(
            "failed", "listening", f"something at {place} does not answer as a collector ({error})"
        )
    if status == HTTPStatus.NOT_FOUND:
        return Finding(
            "failed", "listening", f"something at {place} is no collector; choose another --port"
        )
    if status != HTTPStatus.OK:
        return Finding(
            "failed", "listening", f"the collector at {place} is not ready ({status}); see its log"
        )
    return Finding("ok", "listening", f"it answers at {place}")


def _ask(host: str, port: int) -> int:
    """Return the status of the answer of whatever listens there."""
    here = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  # everywhere includes here
    with closing(http.client.HTTPConnection(here, port, timeout=_TIMEOUT_S)) as connection:
        connection.request("GET", "/readyz")
        return connection.getresponse().status
