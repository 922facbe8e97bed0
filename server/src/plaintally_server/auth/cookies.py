"""Logins of maintainers: a secret in a cookie, whose SHA-256 is in the database. Pure.

Every collector on a database knows a login, and a restart does not end it. A copy of the database
is not a login: a secret of 256 bits cannot be found from its hash. The row of a login also holds a
MAC of its token's hash, made with the secret, so that a login ends when its token is revoked or the
settings get another one.
"""

import hmac
import re
from datetime import datetime, timedelta
from hashlib import sha256
from typing import NamedTuple

from plaintally_server.auth.tokens import Tokens
from plaintally_server.model import Scope, StoredLogin

LIFETIME_S = 12 * 3600
SKEW = timedelta(minutes=5)
"""How far the clocks of collectors on one database may be apart."""
NAME = "plaintally"
SECRET_BYTES = 32
_SECRET = re.compile(r"[A-Za-z0-9_-]{43}")  # as secrets.token_urlsafe(SECRET_BYTES) writes it


class Login(NamedTuple):
    """A maintainer who is logged in.

    Attributes:
        scope: what the token opens.
        form_key: what the forms carry, so that the page of another site cannot send them.
        hash: the SHA-256 of the secret, under which the database has the login.
    """

    scope: Scope
    form_key: str
    hash: bytes


def cookie_name(*, secure: bool) -> str:
    """Return the name of the cookie; over TLS its prefix has browsers bind it to this host."""
    return f"__Host-{NAME}" if secure else NAME


def is_secret(cookie: str) -> bool:
    """Return whether a cookie has the form of a login's secret."""
    return _SECRET.fullmatch(cookie) is not None


def hash_secret(secret: str) -> bytes:
    """Return the SHA-256 of a secret."""
    return sha256(secret.encode()).digest()


def begin(secret: str, token_hash: bytes, name: str, *, now: datetime) -> StoredLogin:
    """Return the row of a new login with the token that has this hash and name."""
    ends_at = now + timedelta(seconds=LIFETIME_S)
    return StoredLogin(hash_secret(secret), name, _mac(secret, b"token", token_hash), ends_at)


def resume(
    secret: str, stored: StoredLogin | None, tokens: Tokens, *, now: datetime
) -> Login | None:
    """Return the login with this secret; None if it has ended, or if its token was revoked.

    A login that ends too late was begun by a clock that was ahead, and has ended, too.
    """
    if stored is None or not now < stored.ends_at <= now + timedelta(seconds=LIFETIME_S) + SKEW:
        return None
    found = tokens.named(stored.token)
    if found is None:
        return None
    token_hash, scope = found
    if not hmac.compare_digest(stored.token_mac, _mac(secret, b"token", token_hash)):
        return None
    return Login(scope, _mac(secret, b"form").hex(), stored.hash)


def _mac(secret: str, use: bytes, content: bytes = b"") -> bytes:
    return hmac.digest(secret.encode(), use + b" " + content, "sha256")
