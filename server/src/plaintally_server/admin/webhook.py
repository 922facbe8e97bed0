"""Post alarms to an address of the maintainer's."""

import http.client
import urllib.error
import urllib.request
from collections.abc import Mapping
from urllib.parse import urlsplit

import msgspec

from plaintally_server.exceptions import CommandError

_TIMEOUT_S = 10


def is_safe(url: str) -> bool:
    """Return whether an address has HTTPS, or is on this machine."""
    try:
        parts = urlsplit(url)
        if not parts.hostname or parts.port == 0:
            return False
    except ValueError:
        return False
    return parts.scheme == "https" or (
        parts.scheme == "http" and parts.hostname in ("127.0.0.1", "::1", "localhost")
    )


class _Staying(urllib.request.HTTPRedirectHandler):
    """A handler that fails on redirects, which would drop the alarms or send them elsewhere."""

    def redirect_request(self, *_: object) -> None:
        """Follow none."""


def post(url: str, content: Mapping[str, object]) -> None:
    """Post a JSON object.

    Raises:
        CommandError: it did not arrive.
    """
    headers = {"Content-Type": "application/json", "User-Agent": "plaintally-server"}
    request = urllib.request.Request(url, msgspec.json.encode(content), headers)  # noqa: S310  # https was checked
    try:
        urllib.request.build_opener(_Staying).open(request, timeout=_TIMEOUT_S).close()
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = str(error.reason if type(error) is urllib.error.URLError else error)
        raise CommandError(
            f"the webhook could not be told ({reason}); the alarms above stand"
        ) from error
