"""The tokens of maintainers in a running collector's memory, read again every two seconds."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING

from plaintally_server.auth.permissions import hash_token
from plaintally_server.exceptions import log_failure
from plaintally_server.model import Scope, Token

if TYPE_CHECKING:
    from plaintally_server.store.protocols import TokenStore

MIN_TOKEN = 32
"""The least number of characters of a token: what is shorter may be guessed from its hash."""
PAUSE_S = 2.0
"""After how long a token that was revoked opens nothing any more."""
SETTING = "the token of the settings"
"""The name of whoever has the token that `serve` was started with."""
_logger = logging.getLogger(__name__)


class Tokens:
    """The tokens that open something now.

    Args:
        setting: the token of the settings, which opens everything; None or empty for none.
    """

    def __init__(self, setting: str | None = None) -> None:
        self._always = {hash_token(setting): Scope(SETTING, None)} if setting else {}
        self._scopes: Mapping[bytes, Scope] = self._always
        self._used: set[str] = set()

    def find(self, given: str) -> Scope | None:
        """What a token opens; None where it is none, or was revoked."""
        return self.find_hash(hash_token(given)) if given else None

    def find_hash(self, found: bytes) -> Scope | None:
        """The same by the hash of the token."""
        scope = self._scopes.get(found)
        if scope is not None:
            self._used.add(scope.name)
        return scope

    def named(self, name: str) -> tuple[bytes, Scope] | None:
        """The hash and the scope of the token of a name."""
        return next(
            ((found, scope) for found, scope in self._scopes.items() if scope.name == name), None
        )

    def take(self, tokens: Sequence[Token]) -> None:
        """Have these be the tokens."""
        held = {
            token.hash: Scope(token.name, token.packages)
            for token in tokens
            if token.revoked_at is None
        }
        self._scopes = {**held, **self._always}

    async def follow(self, store: "TokenStore", *, now: Callable[[], datetime]) -> None:
        """Know what the store has, until cancelled, and keep there which tokens are used."""
        while True:
            await asyncio.sleep(PAUSE_S)
            await self.read(store, today=now().date())

    async def read(self, store: "TokenStore", *, today: date) -> None:
        """Know what the store has now; a failure is told, and what was known holds."""
        try:
            tokens = await asyncio.to_thread(store.tokens)
            self.take(tokens)
            used = {token.name for token in tokens if token.last_used_day != today} & self._used
            self._used.clear()
            if used:
                await store.note_used(sorted(used), today)
        except Exception as error:  # noqa: BLE001  # the database may be away for a while
            log_failure(_logger, "read the tokens", error)
