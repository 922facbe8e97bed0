"""Connections to PostgreSQL, from a libpq address and with the same settings.

psycopg serves SQLAlchemy, and batches directly. Each connection sets what the collector relies on,
whatever the server, the database or the role has as default. Nothing is passed as a startup
parameter, since pgbouncer rejects them.

A direct connection is set up once. Behind a pooler such as pgbouncer, a session may change its
server process with each transaction, so that every transaction begins with the settings and no
statement is prepared. A pooler is recognised by the process ID: it gives the client a number of its
own.

No call lasts for ever if the server falls silent. The kernel gives up after `_SILENT_S` without an
acknowledgement. If something in between acknowledges and the server does not answer, the client
gives up after the limit of a statement.
"""

from collections.abc import Generator, Mapping
from time import monotonic
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.errors import ConnectionTimeout
from psycopg.types.array import ListBinaryDumper
from sqlalchemy import Connection, Engine, Pool, create_engine, event
from sqlalchemy.exc import DBAPIError

from plaintally_server.exceptions import StartError

LIMIT_S = 15
"""How long a statement of a running collector may take on the server."""
# that a client waits longer, so that a slow server ends the statement and keeps the connection
_GRACE_S = 5
_SILENT_S = 15
_LOCK_S = 10  # that a command, whose statements have no limit, waits for a lock
_CONNECT_S = 5  # to each host
_IDLE_S = 5  # that a batch may pause between its statements, before the server ends it
_TCP = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 2}
_BY_INDEX = ("enable_seqscan", "enable_mergejoin", "enable_hashjoin", "enable_bitmapscan", "jit")
_DISK_FULL = "53100"
_LOST = ("08", "25", "53", "57")
_SERVER_17 = 170_000


def parse(address: str) -> dict[str, str]:
    """Return the parameters of an address, with our defaults.

    Raises:
        StartError: libpq does not understand it.
    """
    try:
        given = {name: str(value) for name, value in conninfo_to_dict(address).items()}
    except (psycopg.Error, UnicodeError):
        given = {"host": "@"}
    # After an "@" or "/" in a password, a part of it would be shown as the host or the port.
    ports = given.get("port", "").split(",")
    if "@" in given.get("host", "") or not all(port.isdecimal() for port in ports if port):
        raise StartError(
            "the address of the database is invalid; write an address such as "
            "postgresql://user@host/name, with %40 for @ and %2F for / in a password"
        )
    if "," in given.get("host", ""):
        given.setdefault("target_session_attrs", "primary")
    silent = {
        "keepalives": "1",
        "tcp_user_timeout": str(_SILENT_S * 1000),
        "connect_timeout": str(_CONNECT_S),
    }
    tcp = {name: str(value) for name, value in _TCP.items()}
    return {**silent, **tcp, **given, "client_encoding": "UTF8"}


def describe(address: str) -> str:
    """The address without its password and its options."""
    parameters = parse(address)
    hosts = parameters.get("host", "").split(",")
    ports = parameters.get("port", "").split(",")
    ports = ports if len(ports) == len(hosts) else ports * len(hosts)
    pairs = [
        f"{f'[{host}]' if ':' in host else host}{port and f':{port}'}"
        for host, port in zip(hosts, ports, strict=False)
    ]
    user = f"{parameters['user']}@" if "user" in parameters else ""
    service = f"?service={parameters['service']}" if "service" in parameters else ""
    return f"postgresql://{user}{','.join(pairs)}/{parameters.get('dbname', '')}{service}"


def open_engine(address: str, *, pool: type[Pool], writes: bool, limit_s: float | None) -> Engine:
    """Connections of psycopg; each transaction that reads sees one moment."""
    parameters: dict[str, Any] = parse(address)
    engine = create_engine(
        "postgresql+psycopg://",
        creator=lambda: Session.open(parameters, writes=writes, limit_s=limit_s, idle_s=limit_s),
        isolation_level="READ COMMITTED" if writes else "REPEATABLE READ",
        poolclass=pool,
        pool_pre_ping=True,
        use_native_hstore=False,
    )

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        session: Any = connection.connection.dbapi_connection
        if session.settings:
            connection.exec_driver_sql(session.settings)

    return engine


def is_pooled(connection: Connection) -> bool:
    """Return whether a pooler is between this connection and the server."""
    session: Any = connection.connection.dbapi_connection
    return bool(session.settings)


class SilentError(psycopg.OperationalError, TimeoutError):
    """A server that does not answer in time."""


class Session(psycopg.Connection[Any]):
    """A connection whose calls end; `settings`, if any, begin each transaction."""

    limit_s: float | None = None
    settings = ""

    @classmethod
    def open(
        cls,
        parameters: Mapping[str, Any],
        *,
        writes: bool,
        limit_s: float | None,
        idle_s: float | None,
    ) -> "Session":
        """Connect; `idle_s` is for how long a transaction may pause between its statements."""
        try:
            session = cls.connect(**parameters, autocommit=True)
        except ConnectionTimeout as error:
            raise SilentError("the server does not answer") from error
        try:
            session.limit_s = limit_s
            session._configure(writes=writes, limit_s=limit_s, idle_s=idle_s)  # noqa: SLF001
        except BaseException:
            session.close()
            raise
        return session

    def _configure(self, *, writes: bool, limit_s: float | None, idle_s: float | None) -> None:
        server = self.info.server_version
        chosen = _choose(server, writes=writes, limit_s=limit_s, idle_s=idle_s)
        if self.execute(_set_up(chosen, self.pgconn.backend_pid)).rowcount == 0:
            self.prepare_threshold = None
            self.settings = _set(chosen, is_local=True)
        self.autocommit = False
        self.read_only = not writes

    def wait(self, gen: Any, *arguments: Any, **more: Any) -> Any:  # noqa: ANN401  # as psycopg has it
        """Wait for an answer, with a limit."""
        if self.limit_s is not None:
            gen = self._until(monotonic() + self.limit_s + _GRACE_S, gen)
        return super().wait(gen, *arguments, **more)

    def _until(self, end_s: float, gen: Any) -> Generator[Any, Any, Any]:  # noqa: ANN401
        """Pass on what is waited for; psycopg asks again several times a second."""
        ready = None
        while True:
            try:
                wanted = gen.send(ready)
            except StopIteration as end:
                return end.value
            ready = yield wanted
            if not ready and monotonic() > end_s:
                self.pgconn.finish()
                raise SilentError("the server does not answer")


def connect(address: str) -> Session:
    """Connect for batches, which begin and commit their transactions themselves.

    Raises:
        psycopg.Error: no host can be used.
    """
    session = Session.open(parse(address), writes=True, limit_s=LIMIT_S, idle_s=_IDLE_S)
    session.autocommit = True
    session.cursor_factory = psycopg.RawCursor
    session.adapters.register_dumper(list, ListBinaryDumper)  # bytes as text have twice the length
    return session


def _choose(
    server: int, *, writes: bool, limit_s: float | None, idle_s: float | None
) -> Mapping[str, str]:
    """The settings of a transaction: without statistics, the planner would scan new tables."""
    chosen = {
        "statement_timeout": f"{(limit_s or 0) * 1000:.0f}",
        "lock_timeout": "0" if limit_s else f"{_LOCK_S * 1000}",
        "idle_in_transaction_session_timeout": f"{(idle_s or 0) * 1000:.0f}",
        "idle_session_timeout": "0",
        "row_security": "off",  # an error is better than rows that are silently left out
        "DateStyle": "ISO",
        "TimeZone": "UTC",
        "bytea_output": "hex",
        "standard_conforming_strings": "on",
    }
    if server >= _SERVER_17:
        chosen["transaction_timeout"] = "0"
    return {**chosen, **dict.fromkeys(_BY_INDEX, "off")} if writes else chosen


def _set_up(chosen: Mapping[str, str], process: int) -> str:
    """The statement that sets up a session and returns a row; behind a pooler it does neither.

    The server also learns to notice a silent client, whose locks would stop all others.
    """
    tcp = {f"tcp_{name}": str(value) for name, value in _TCP.items()} | {
        "tcp_user_timeout": str(_SILENT_S * 1000)
    }
    return f"{_set({**chosen, **tcp}, is_local=False)} WHERE pg_backend_pid() = {process}"


def _set(chosen: Mapping[str, str], *, is_local: bool) -> str:
    """The statement that sets these, and a commit that waits for the disk at least."""
    settings = [f"set_config('{name}', '{value}', {is_local})" for name, value in chosen.items()]
    name = "'synchronous_commit'"
    current = f"current_setting({name})"
    own = f"CASE WHEN {current} IN ('off', 'local') THEN 'on' ELSE {current} END"
    return f"SELECT {', '.join(settings)}, set_config({name}, {own}, {is_local})"


def is_lost(error: Exception) -> bool:
    """Return whether the server is away, full, read-only or unwilling, so that a retry may help."""
    cause = _cause_of(error)
    state: str | None = getattr(cause, "sqlstate", None)
    if state is not None:
        return state != _DISK_FULL and state.startswith(_LOST)
    return isinstance(cause, (psycopg.OperationalError, psycopg.InterfaceError))


def is_full(error: Exception) -> bool:
    """Return whether the disk of the server is full."""
    return getattr(_cause_of(error), "sqlstate", None) == _DISK_FULL


def _cause_of(error: Exception) -> BaseException | None:
    return error.orig if isinstance(error, DBAPIError) else error
