"""Who may read and delete: whoever has the maintainer's token, and in an open collection everybody. Pure."""

from collections.abc import Collection, Iterable
from typing import NamedTuple

from plaintally_server.exceptions import forbidden


class Access(NamedTuple):
    """What the sender of a request may do besides writing, which needs nothing."""

    has_token: bool
    open_collections: Collection[str]

    def allows(self, collection: str) -> bool:
        """Whether documents of a collection may be read, and deleted."""
        return self.has_token or collection in self.open_collections

    def check(self, collections: Iterable[str]) -> None:
        """Raise unless documents of these collections may be read, and deleted.

        Raises:
            Refusal: one of them is not open, and the token is missing.
        """
        if not all(self.allows(collection) for collection in collections):
            raise forbidden("Missing or insufficient permissions: this needs the maintainer's token.")


def bearer(authorization: str) -> str:
    """The token in an Authorization header; empty where it has another scheme."""
    scheme, _, token = authorization.partition(" ")
    return token if scheme.lower() == "bearer" else ""
