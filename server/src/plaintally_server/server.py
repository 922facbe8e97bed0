"""Runs the collector with its settings, from the socket to the last commit."""

import asyncio
import contextlib
import gc
import os
import signal
import socket
import sys
from datetime import UTC, datetime
from functools import partial
from types import FrameType

import uvicorn

from plaintally_server import log_config
from plaintally_server.app import create_app
from plaintally_server.auth.permissions import Access
from plaintally_server.exceptions import StartError
from plaintally_server.http.connection_limits import ConnectionTable
from plaintally_server.http.forwarded import parse_networks
from plaintally_server.http.models import Application
from plaintally_server.http.protocol import Connection
from plaintally_server.http.request_head import Limits
from plaintally_server.ingest.rejections import Refusals
from plaintally_server.jobs import scheduler
from plaintally_server.jobs.watchdog import report_health
from plaintally_server.process_exit import Ending
from plaintally_server.settings import Settings
from plaintally_server.store.opening import open_maintenance, open_store
from plaintally_server.store.writing import SQLStore

_BACKLOG = 2048
_FILES = 2 * _BACKLOG
# for requests that are under way; the rest of ten seconds is for what waits to be written
_GRACE_S = 5
# how long a thread that parses a long body goes on while the event loop waits; 5 ms by default
_SWITCH_S = 0.0005
_GARBAGE = 50_000  # objects in circles that may come about before the youngest are looked through


class Listening(uvicorn.Server):
    """A server that says where it listens once it does."""

    def __init__(self, config: uvicorn.Config, ending: Ending) -> None:
        super().__init__(config)
        self.ending = ending

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then print the address, if anybody listens to that."""
        asyncio.get_running_loop().set_exception_handler(log_config.report_loop_error)
        await super().startup(sockets)
        host, port = (sockets or [])[0].getsockname()[:2]
        log_config.announce(f"Listening on http://{f'[{host}]' if ':' in host else host}:{port}/")

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to end, which takes ten seconds at most."""
        self.ending.begin()
        super().handle_exit(sig, frame)


def run(settings: Settings, *, limits: Limits = Limits(), access: type[Access] = Access) -> None:  # noqa: B008  # immutable
    """Serve until SIGINT, SIGTERM or SIGHUP; what was taken in is committed before it ends.

    A thread that is stuck then is left behind, and the exit code is 1 if not everything was
    committed.

    Raises:
        StartError: the address or the database cannot be used.
    """
    sys.setswitchinterval(_SWITCH_S)
    # nothing is taken in yet, and opening a large file takes its time
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    # under nohup SIGHUP is ignored, and stays so
    if sys.platform != "win32" and signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
        signal.signal(signal.SIGHUP, lambda *_: signal.raise_signal(signal.SIGTERM))
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        found = socket.getaddrinfo(settings.host, settings.port, family, socket.SOCK_STREAM)
        address = found[0][4]  # with its zone
        listener = socket.create_server(address, family=family, backlog=_BACKLOG)
    except (OSError, TypeError, UnicodeError) as error:  # a name that cannot be encoded
        number = getattr(error, "errno", None) or 0  # that of a failed look-up is negative
        reason = os.strerror(number) if number > 0 else "no such host"
        raise StartError(
            f"cannot listen on {settings.host}:{settings.port} ({reason}); choose another --port "
            "or --host"
        ) from error
    _raise_file_limit()
    with contextlib.ExitStack() as stack:
        stack.enter_context(listener)
        store = open_store(settings.database)
        for number in (signal.SIGINT, signal.SIGTERM):
            # uvicorn raises it again after everything has ended
            signal.signal(number, signal.default_int_handler)
        stack.callback(store.close)
        ending = Ending(lambda: store.ended_well, partial(log_config.flush, 1.0))
        app = _make_app(settings, store, stack, access)
        table = ConnectionTable(
            total=int(limits.connections),
            per_client=int(limits.connections_per_client),
            unread_bytes=int(limits.unread_bytes),
        )
        trusted = parse_networks(settings.trusted_proxies)
        config = uvicorn.Config(
            app,
            # it is called like a class
            http=partial(Connection, table=table, trusted=trusted, limits=limits),  # type: ignore[arg-type]
            ws="none",
            interface="asgi3",
            access_log=False,  # it would hold addresses
            log_config=None,  # its own would write to stderr by itself
            log_level="critical",
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=_GRACE_S,
            headers=[("x-content-type-options", "nosniff")],
        )
        # what is there now stays; looking through it again and again would hold up all requests
        gc.freeze()
        gc.set_threshold(_GARBAGE)
        with contextlib.suppress(KeyboardInterrupt):
            Listening(config, ending).run(sockets=[listener])
    ending.leave_if_stuck()


def _raise_file_limit() -> None:
    """Raise a low limit of open files: all connections in the backlog may be accepted at once."""
    if sys.platform != "win32":
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _make_app(
    settings: Settings, store: SQLStore, stack: contextlib.ExitStack, access: type[Access]
) -> Application:
    refusals = Refusals()
    now = partial(datetime.now, UTC)

    async def work_beside() -> None:
        await asyncio.gather(
            scheduler.keep(store, settings.contracts, refusals, now=now),
            report_health(lambda: store.trouble is None),
        )

    create = partial(
        create_app,
        settings,
        store,
        maintenance=open_maintenance(settings.database, store),
        beside=work_beside,
        note_refused=refusals.note,
        access=access,
        now=now,
    )
    if settings.metrics_port is None:
        return create()
    from plaintally_server.api.metrics import Metrics

    metrics = Metrics()
    metrics.serve(stack, store, host=settings.metrics_host, port=settings.metrics_port)
    return create(measured=metrics.around)
