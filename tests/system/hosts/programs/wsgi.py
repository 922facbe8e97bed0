"""A WSGI application that imports a package when it is loaded and uses it in each request."""

import os
from collections.abc import Callable
from pathlib import Path

import hostpkg

Path(f"loaded-{os.getpid()}").touch()


def application(environ: dict[str, object], start_response: Callable[..., object]) -> list[bytes]:
    hostpkg.check()
    start_response("200 OK", [("Content-Length", "4")])
    return [b"done"]
