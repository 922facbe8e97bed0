"""Who is logged in: a cookie that says who and until when, signed with the hash of their token. Pure.

Nothing is kept of a login, so that every collector on a database knows it, and a token that is revoked ends it. Whoever
has the database could sign one, too; and has the database.
"""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import NamedTuple

from plaintally_server.access import Scope
from plaintally_server.tokens import Tokens

LIFETIME_S = 12 * 3600
NAME = "plaintally"


class Login(NamedTuple):
    """Somebody who is logged in, and what their forms carry so that nobody else's page can send them."""

    scope: Scope
    form_key: str


def cookie_name(*, secure: bool) -> str:
    """The name of the cookie; over TLS it has a prefix that browsers hold to: of this host and path alone."""
    return f"__Host-{NAME}" if secure else NAME


def make_cookie(token_hash: bytes, name: str, *, now_s: float) -> str:
    """The value of the cookie of whoever has a token."""
    head = f"{urlsafe_b64encode(name.encode()).decode()}.{int(now_s) + LIFETIME_S}"
    return f"{head}.{_sign(token_hash, 'cookie', head)}"


def read_cookie(cookie: str, tokens: Tokens, *, now_s: float) -> Login | None:
    """Who has this cookie; None where it is not one of ours, too old, or its token was revoked."""
    head, _, signature = cookie.rpartition(".")
    name, _, until = head.partition(".")
    try:
        found = tokens.named(urlsafe_b64decode(name.encode()).decode())
        if found is None or int(until) < now_s:
            return None
    except ValueError:
        return None
    token_hash, scope = found
    if not hmac.compare_digest(signature.encode(), _sign(token_hash, "cookie", head).encode()):
        return None
    return Login(scope, _sign(token_hash, "form", head))


def _sign(token_hash: bytes, use: str, text: str) -> str:
    return hmac.new(token_hash, f"{use} {text}".encode(), "sha256").hexdigest()
