"""Make tokens, with which maintainers read."""

import re
import secrets
from collections.abc import Sequence
from datetime import datetime

from plaintally_server.auth.permissions import PREFIX, hash_token
from plaintally_server.exceptions import invalid
from plaintally_server.model import Scope
from plaintally_server.store.maintenance import Maintenance

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")


def create_token(
    store: Maintenance, name: str, packages: Sequence[str] | None, *, scope: Scope, now: datetime
) -> str:
    """Keep the hash of a new token, and return the token.

    Args:
        store: the store.
        name: the name of the token.
        packages: the packages that it is for; None for all.
        scope: who makes it.
        now: the time.

    Raises:
        Refusal: the name is invalid.
        CommandError: there is or was a token of this name.
    """
    if not _NAME.fullmatch(name):
        raise invalid(
            "A name has up to 64 letters, digits and . _ @ - and begins with a letter or digit."
        )
    made = PREFIX + secrets.token_urlsafe(32)
    names = None if packages is None else frozenset(packages)
    store.add_token(name, hash_token(made), names, actor=scope.name, at=now)
    return made
