"""The settings of a collector; `cli` reads them from options, environment and file."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import NamedTuple

from plaintally.contract import Contract
from plaintally_server.auth.tokens import MIN_TOKEN
from plaintally_server.exceptions import StartError


class Settings(NamedTuple):
    """How a collector runs.

    `contracts` says by package what may be kept; `token` lets a maintainer read everything;
    `rate_limit` is in documents per second and client (0: without limit), `rate_burst` what a
    client may write at once; `trusted_proxies` are addresses and networks whose word about their
    client is believed; figures for Prometheus are on `metrics_host` and `metrics_port` (None:
    nowhere).
    """

    contracts: Mapping[str, Contract]
    database: Path | str = Path("plaintally.sqlite3")
    host: str = "127.0.0.1"
    port: int = 8080
    token: str | None = None
    rate_limit: int = 5
    rate_burst: int = 20_000
    trusted_proxies: Collection[str] = ()
    metrics_host: str = "127.0.0.1"
    metrics_port: int | None = None


def find_token(token: str | None, path: Path | None) -> str | None:
    """Return the maintainer's token, which is given or stands in a file; None if there is neither.

    Raises:
        StartError: the file cannot be read, or the token is short.
    """
    found = token or (_read_token(path) if path else None)
    if found is not None and len(found) < MIN_TOKEN:
        place = "in PLAINTALLY_SERVER_TOKEN or the settings file" if token else f"in {path}"
        raise StartError(
            f"the token {place} has {len(found)} characters, fewer than {MIN_TOKEN}; "
            "make a longer one, for example with `openssl rand -hex 32`"
        )
    return found


def _read_token(path: Path) -> str:
    """Return the token in a file, as systemd and compose hand out secrets.

    Raises:
        StartError: the file cannot be read, or is empty.
    """
    try:
        token = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise StartError(
            f"the token file {path} cannot be read ({reason}); name another with --token-file"
        ) from error
    if not token:
        raise StartError(f"the token file {path} is empty; write a token into it")
    return token
