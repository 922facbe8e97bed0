"""Look at what a collector needs: its database, its settings and its machine.

Nothing is changed, so a collector may run meanwhile. A large database takes no longer than a small
one, unless the whole file is to be read for damage.
"""

import ctypes
import http.client
import os
import shutil
import stat
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any

from plaintally_server.admin.contracts import collect_contracts
from plaintally_server.admin.findings import (
    Finding,
    check_clock,
    check_disk,
    check_erasing,
    check_file_system,
    check_proxies,
    check_tables,
    check_unerased,
    failed,
    find_dangers,
    ok,
    warning,
)
from plaintally_server.exceptions import ServerError
from plaintally_server.settings import find_token
from plaintally_server.store import replace
from plaintally_server.store.database import Database, describe, exists, telling
from plaintally_server.store.filesystems import find_type
from plaintally_server.store.inspection import Inspection, look_at
from plaintally_server.store.maintenance import MaintenanceReader

_TIMEOUT_S = 5
_TIME_ERROR = 5  # what adjtimex(2) returns where nothing disciplines the clock


def examine(
    *,
    now: datetime,
    database: Database,
    packages: Sequence[str],
    contracts: Sequence[Path],
    full: bool,
    **options: Any,  # noqa: ANN401
) -> Iterator[Finding]:
    """Look at everything in turn.

    The options are those of `serve`, and whether to read the whole of a SQLite file.
    """
    inspection = None
    try:
        with telling(f"cannot read the database {describe(database)}"):
            yield from _check_files(database)
            if exists(database):
                inspection = look_at(database, now=now, full=full)
            elif isinstance(database, Path):
                replace.check_place(database)
    except ServerError as error:
        yield failed("database", str(error))
    if inspection is not None:
        yield check_tables(inspection, is_server=isinstance(database, str))
        if isinstance(database, str):
            yield from _check_server(database)
        yield from _check_erasing(database, inspection, now)
    made = 0
    if inspection is None or inspection.tables == "current":
        # Asking an older one would bring it forward.
        yield _check_contracts(database, contracts, packages)
    if inspection is not None and inspection.tables == "current":
        try:
            made = _count_tokens(database)
        except ServerError as error:
            yield failed("token", str(error))
    yield _check_token(options["token"], options["token_file"], made, is_new=inspection is None)
    yield check_proxies(options["trusted_proxies"], options["host"])
    yield check_clock(now, inspection, is_synchronized=_is_synchronized())
    yield _check_listening(options["host"], options["port"])


def _check_server(address: str) -> Iterator[Finding]:
    """Check whether a PostgreSQL server keeps what it acknowledged."""
    from plaintally_server.store.server_state import look_at_server  # which needs the extra

    try:
        state = look_at_server(address)
    except ServerError as error:
        yield failed("postgresql", str(error))
        return
    found = [*find_dangers(state)]
    yield from found
    if not found:
        says = (
            "it is behind a pooler; a direct connection is faster"
            if state.is_pooled
            else "it waits for its disk"
        )
        yield ok("postgresql", says)


def _check_erasing(database: Database, inspection: Inspection, now: datetime) -> Iterator[Finding]:
    if isinstance(database, Path) and inspection.erasing is not None:
        yield check_erasing(shutil.disk_usage(database.absolute().parent).free, inspection.erasing)
    if inspection.unerased_since is not None:
        yield check_unerased(inspection.unerased_since, now)


def _check_contracts(database: Database, paths: Sequence[Path], packages: Sequence[str]) -> Finding:
    try:
        with telling(f"cannot read the database {describe(database)}"):
            names = sorted(collect_contracts(database, paths, packages))
            strays = _find_strays(database, names) if exists(database) else []
    except ServerError as error:
        return failed("contracts", str(error))
    if not names:
        return failed("contracts", "nothing to collect; name a package or add a contract")
    if strays:
        others = f"documents of {', '.join(strays)} stay for ever unless these are named, too"
        return warning("contracts", f"of {', '.join(names)}; {others}")
    return ok("contracts", f"of {', '.join(names)}")


def _find_strays(database: Database, names: Sequence[str]) -> Sequence[str]:
    """Return the packages with documents that have none of these names, and so are never purged."""
    return [
        name for name in MaintenanceReader(database).packages_with_documents() if name not in names
    ]


def _check_token(token: str | None, path: Path | None, made: int, *, is_new: bool) -> Finding:
    if not token and path is None:
        if made:
            return ok("token", f"{made} {'was' if made == 1 else 'were'} made and not revoked")
        says = "there is no token, so documents cannot be read"
        remedy = "make one with `plaintally-server token create`"
        when = " once it has been started" if is_new else ""
        return warning("token", f"{says}; {remedy}{when}")
    try:
        find_token(token, path)
    except ServerError as error:
        return failed("token", str(error))
    if token or path is None:
        return ok("token", "there is one")
    return _check_owner_only("token", path)


def _count_tokens(database: Database) -> int:
    with telling(f"cannot read the database {describe(database)}"):
        return sum(token.revoked_at is None for token in MaintenanceReader(database).tokens())


def _check_files(database: Database) -> Iterator[Finding]:
    """Check permissions, file system and room of a database file and its folder."""
    if isinstance(database, str):
        return
    folder = database.absolute().parent
    if not folder.is_dir():
        yield failed("database", f"there is no folder {folder}; make it")
        return
    is_there = os.access(database, os.F_OK)  # which does not raise where its folder is closed to us
    if not os.access(folder, os.W_OK | os.X_OK) or (is_there and not os.access(database, os.W_OK)):
        yield failed(
            "permissions",
            f"{database} and its folder must be writable; run this as its owner, or `chmod` them",
        )
    elif is_there:
        yield _check_owner_only("permissions", database)
    else:
        yield ok("permissions", f"{database} can be made")
    yield from check_file_system(find_type(folder.resolve()))
    size = database.stat().st_size if is_there else 0
    yield check_disk(shutil.disk_usage(folder).free, size)


def _check_owner_only(about: str, path: Path) -> Finding:
    if os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & 0o077:
        return warning(about, f"others can read {path}; `chmod 600` it")
    return ok(about, f"{path} is its owner's only")


def _is_synchronized() -> bool:
    """Return whether something keeps the clock right; True if the kernel cannot say."""
    if not sys.platform.startswith("linux"):
        return True
    timex = ctypes.create_string_buffer(512)  # all zero: it only asks; the structure is shorter
    return int(ctypes.CDLL(None).adjtimex(timex)) != _TIME_ERROR


def _check_listening(host: str, port: int) -> Finding:
    place = f"{f'[{host}]' if ':' in host else host}:{port}"
    try:
        status = _ask(host, port)
    except ConnectionRefusedError:
        return warning(
            "listening", f"nothing answers at {place}; start it with `plaintally-server serve`"
        )
    except (OSError, http.client.HTTPException) as error:
        return failed("listening", f"something at {place} does not answer as a collector ({error})")
    if status == HTTPStatus.NOT_FOUND:
        return failed("listening", f"something at {place} is no collector; choose another --port")
    if status != HTTPStatus.OK:
        return failed("listening", f"the collector at {place} is not ready ({status}); see its log")
    return ok("listening", f"it answers at {place}")


def _ask(host: str, port: int) -> int:
    """Return the status of the answer of whatever listens there."""
    here = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  # everywhere includes here
    with closing(http.client.HTTPConnection(here, port, timeout=_TIMEOUT_S)) as connection:
        connection.request("GET", "/readyz")
        return connection.getresponse().status
