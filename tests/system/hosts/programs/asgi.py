"""An ASGI application that imports a package when it is loaded and uses it in each request."""

import os
from pathlib import Path
from typing import Any

import hostpkg

Path(f"loaded-{os.getpid()}").touch()


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] == "http":
        hostpkg.check()
        head = [(b"content-length", b"4")]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": b"done"})
