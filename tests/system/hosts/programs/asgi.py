"""An ASGI application that imports a package when it is loaded and uses it in each request."""

from typing import Any

import hostpkg


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] == "http":
        hostpkg.check()
        head = [(b"content-length", b"4")]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": b"done"})
