"""Judge what a collector needs: one finding for each thing, with a remedy. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Literal, NamedTuple

from plaintally_server.store.clock import LONG_LAG, describe_lag
from plaintally_server.store.filesystems import NETWORK, PASSING
from plaintally_server.store.inspection import Inspection

if TYPE_CHECKING:
    from plaintally_server.store.server_state import ServerState

SCARCE_BYTES = 64 * 2**20
AMPLE_BYTES = 2**30
_LEAST_POSTGRESQL = 150_000
_LONG_UNERASED = timedelta(hours=1)
_CLOCKS_APART = timedelta(minutes=1)


class Finding(NamedTuple):
    """What was found of one thing; if it is not ok, `says` has the remedy, too."""

    state: Literal["ok", "warning", "failed"]
    about: str
    says: str


def ok(about: str, says: str) -> Finding:
    """Return a finding that asks for nothing."""
    return Finding("ok", about, says)


def warning(about: str, says: str) -> Finding:
    """Return a finding that may cost something one day."""
    return Finding("warning", about, says)


def failed(about: str, says: str) -> Finding:
    """Return a finding that must be dealt with."""
    return Finding("failed", about, says)


def check_tables(inspection: Inspection, *, is_server: bool = False) -> Finding:
    """Check whether the tables are of this version.

    A collector brings those of a file forward, but not those of a PostgreSQL server.
    """
    if inspection.tables == "newer":
        return failed("tables", "they are of a newer version; update plaintally-server")
    if inspection.tables == "older":
        older = "older, or not there" if is_server else "older"
        says = f"they are {older}; back up, then run `plaintally-server migrate`"
        return failed("tables", says) if is_server else warning("tables", says)
    if inspection.is_sound:
        return ok("tables", "they are of this version, and every page of the file is sound")
    return ok("tables", "they are of this version")


def find_dangers(state: "ServerState") -> Iterator[Finding]:
    """Yield what makes acknowledged data unsafe on a server, or stops the collector."""
    if state.is_standby:
        yield failed("postgresql", "it is a standby, which only reads; name the primary")
    if state.version < _LEAST_POSTGRESQL:
        yield failed("postgresql", f"it is older than 15 ({state.version // 10_000}); update it")
    if not state.has_fsync:
        says = "fsync is off, so a crash of the machine loses or damages everything"
        yield failed("postgresql", f"{says}; turn it on")
    if not state.has_full_pages:
        says = "full_page_writes is off, so a crash of the machine may damage pages"
        yield failed("postgresql", f"{says}; turn it on")
    if state.encoding != "UTF8":
        yield failed(
            "postgresql",
            f"its encoding is {state.encoding}; make a database with the encoding UTF8",
        )
    for name in state.unlogged:
        says = f"the table {name} is unlogged, so a crash empties it"
        yield failed("postgresql", f"{says}; run ALTER TABLE {name} SET LOGGED")
    if state.synchronous_commit in ("off", "local"):
        says = (
            f"synchronous_commit is {state.synchronous_commit}; the collector turns it on for "
            "itself, and you should for copies and restores with other programs"
        )
        yield warning("postgresql", says)
    if state.has_late_standbys:
        says = "no commit waits for its standbys, so a failover may lose what was acknowledged last"
        yield warning("postgresql", f"{says}; set synchronous_standby_names")


def check_clock(now: datetime, inspection: Inspection | None, *, is_synchronized: bool) -> Finding:
    """Check whether the clock can be right: days are counted by it."""
    if inspection and inspection.future:
        return failed("clock", _tell_future(inspection.future, now))
    if inspection and inspection.time and abs(now - inspection.time) > _CLOCKS_APART:
        return failed(
            "clock", f"it says {now:%H:%M:%S}, PostgreSQL's {inspection.time:%H:%M:%S}; set both"
        )
    if inspection and inspection.lag and inspection.lag > LONG_LAG:
        says = f"{now:%Y-%m-%d %H:%M} UTC; {describe_lag(inspection.lag)}"
        return warning("clock", says)
    if not is_synchronized:
        return warning(
            "clock", f"{now:%Y-%m-%d %H:%M} UTC, but nothing keeps it right; run an NTP client"
        )
    return ok("clock", f"{now:%Y-%m-%d %H:%M} UTC")


def _tell_future(future: Mapping[str, tuple[date, date]], now: datetime) -> str:
    """Return what to do about imports on days that have not begun."""
    found = ", ".join(f"{name} from {first} to {last}" for name, (first, last) in future.items())
    commands = [
        f"`plaintally-server strike add {name} --from {first} --until {last + timedelta(days=1)} "
        "--reason 'The clock was ahead'`"
        for name, (first, last) in future.items()
    ]
    return (
        f"it says {now:%Y-%m-%d}, but there are imports of future days: {found}. "
        f"If it is wrong, set it right; if it was ahead then, exclude these imports with "
        f"{' and '.join(commands)}"
    )


def check_disk(free_bytes: int, database_bytes: int) -> Finding:
    """Check whether there is room to go on, and for copies of the database, such as backups."""
    says = f"{free_bytes / 2**20:,.0f} MiB are free beside the database"
    if free_bytes < SCARCE_BYTES:
        return failed("disk", f"{says}; make room before it is full")
    if free_bytes < max(AMPLE_BYTES, 2 * database_bytes):
        return warning(
            "disk", f"{says}; a backup and a restore need twice its size, and 1 GiB is little"
        )
    return ok("disk", says)


def check_erasing(free_bytes: int, needed_bytes: int) -> Finding:
    """Check whether there is room to erase what is deleted, which takes a copy of the documents."""
    needed = (
        f"{needed_bytes / 2**20:,.0f} MiB are needed beside the database to erase what is deleted"
    )
    if free_bytes < needed_bytes:
        return failed("erasing", f"{needed}, and {free_bytes / 2**20:,.0f} MiB are free; make room")
    return ok("erasing", needed)


def check_unerased(since: datetime, now: datetime) -> Finding:
    """Check whether the bytes of what was deleted are erased in time."""
    says = f"bytes of sessions deleted since {since:%Y-%m-%d %H:%M} UTC are still to be erased"
    if now - since > _LONG_UNERASED:
        remedy = "run a collector, end programs that read the database for long, and see the log"
        return warning("erasing", f"{says}; {remedy}")
    return ok("erasing", says)


def check_file_system(kind: str | None) -> Iterator[Finding]:
    """Check whether SQLite can rely on a file system of this type; yield nothing if unknown."""
    if kind in NETWORK:
        says = f"{kind} is shared with other machines, where SQLite's locks do not hold"
        yield failed("filesystem", f"{says}; use a local disk or PostgreSQL")
    elif kind in PASSING:
        says = f"{kind} ends with the machine or the container, and the data with it"
        yield warning("filesystem", f"{says}; use a disk or a volume")
    elif kind is not None:
        yield ok("filesystem", kind)


def check_proxies(trusted: Sequence[str], host: str) -> Finding:
    """Check whether the proxy is trusted that a collector on the loopback address must have."""
    if not trusted and host in ("127.0.0.1", "::1", "localhost"):
        says = "none is trusted, so all clients behind one share its rate limit"
        return warning("proxies", f"{says}; name it with --trusted-proxy")
    return ok("proxies", f"trusted: {', '.join(trusted) or 'none'}")
