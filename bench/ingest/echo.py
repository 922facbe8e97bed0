"""The yardstick: an ASGI application that echoes the body: `python -m ingest.echo`.

It speaks by uvicorn's protocol, or with the argument `ours` by the collector's.
"""

import socket
import sys
from functools import partial

import uvicorn
from starlette.types import Receive, Scope, Send

from plaintally_server.http.connection_limits import ConnectionTable
from plaintally_server.http.protocol import Connection


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Send the body back."""
    if scope["type"] != "http":
        return
    body = b""
    more = True
    while more:
        message = await receive()
        body = body + message.get("body", b"")
        more = message.get("more_body", False)
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def main() -> None:
    """Serve until SIGTERM."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    print(f"Listening on http://127.0.0.1:{listener.getsockname()[1]}/", flush=True)
    table = ConnectionTable(total=2048, per_client=2048, unread_bytes=2**26)
    protocol = partial(Connection, table=table) if sys.argv[1:] == ["ours"] else "httptools"
    config = uvicorn.Config(
        app,
        http=protocol,  # type: ignore[arg-type]  # it is called like a class of uvicorn's
        ws="none",
        lifespan="off",
        interface="asgi3",
        access_log=False,
        log_level="critical",
        server_header=False,
        proxy_headers=False,
    )
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
