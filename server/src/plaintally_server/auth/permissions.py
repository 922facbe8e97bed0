"""What the sender of a request may do. Pure.

Everyone may write whole documents. Everything else needs a maintainer's token.

A token is 256 random bits, so that it cannot be guessed, and only its SHA-256 is kept. How long it
takes to find a hash tells of the hash of what was sent, and nothing of a token: to come nearer to
one, its hash had to be foreseen.
"""

from collections.abc import Collection, Iterable
from hashlib import sha256
from typing import NamedTuple

from plaintally_server.exceptions import forbidden
from plaintally_server.firestore.documents import Name
from plaintally_server.firestore.field_paths import Fields, merge
from plaintally_server.firestore.writes import Action, Change
from plaintally_server.ingest import admission
from plaintally_server.ingest.admission import Policy
from plaintally_server.ingest.collections import COUNTER_PREFIX, is_import
from plaintally_server.ingest.imports import no_documents
from plaintally_server.ingest.shared_fields import SHARED
from plaintally_server.model import Admitted, Scope, Write

PREFIX = "plaintally_"
"""What tokens begin with, so that whoever finds one knows what it is."""


class Access(NamedTuple):
    """What the sender of a request may write, read and delete; `scope` is None without a token."""

    scope: Scope | None
    policy: Policy

    def opens(self, collection: str) -> bool:
        """Return whether some documents of a collection may be read, deleted and patched."""
        if self.scope is None:
            return False
        package = collection.removeprefix(COUNTER_PREFIX)
        return collection in SHARED or self.scope.packages is None or self.scope.holds(package)

    def check(self, collections: Iterable[str]) -> None:
        """Raise unless some documents of each collection may be read and deleted.

        Raises:
            Refusal: the token is missing or of other packages.
        """
        if not all(self.opens(collection) for collection in collections):
            raise forbidden(
                "Missing or insufficient permissions: this needs a maintainer's token for its "
                "package."
            )

    def check_reads(self, collections: Collection[str]) -> None:
        """Raise unless documents of these collections may be read, or at least some of each.

        Raises:
            Refusal: see `check`; or one of them has imports, of which no documents are kept.
        """
        self.check(collections)
        if any(is_import(collection) for collection in collections):
            raise no_documents()

    def check_any(self) -> None:
        """Raise if the sender may not read anything.

        Raises:
            Refusal: the token is missing.
        """
        if self.scope is None:
            self.check([""])

    def check_collection(self, collection: str) -> None:
        """See `ingest.check_collection`."""
        admission.check_collection(collection, self.policy)

    def admit(self, name: Name, fields: Fields, *, current: Fields | None = None) -> Admitted:
        """See `ingest.admit`."""
        sees = current is None or self.sees(name.collection, current)
        return admission.admit(name, fields, self.policy, current=current, sees=sees)

    def sees(self, collection: str, fields: Fields) -> bool:
        """Whether a document may be read and deleted."""
        if self.scope is None:
            return False
        return self.scope.packages is None or self.scope.holds(self._package_of(collection, fields))

    def _package_of(self, collection: str, fields: Fields) -> str:
        if collection in SHARED:
            return str(fields.get("package") or self.policy.dialect_of(collection, fields) or "")
        return collection.removeprefix(COUNTER_PREFIX)


def settle(write: Write, current: Fields | None) -> Admitted | None:
    """Return what a write stores, given the fields that are stored; None for nothing.

    Raises:
        Refusal: the change is not admitted.
    """
    change = write.content
    if not isinstance(change, Change):
        return change
    if change.action is Action.VERIFY:
        return None if current is None else Admitted(current, "")
    assert write.by is not None  # noqa: S101  # for the type checker
    return write.by.admit(change.name, merge(current, change.fields, change.mask), current=current)


def is_hidden(write: Write, current: Fields) -> bool:
    """Return whether the stored document does not exist to a write: its sender may not see it.

    A whole document replaces what is there, or is rejected, without telling.
    """
    if write.by is None or (isinstance(write.content, Change) and write.content.is_whole):
        return False
    return not write.by.sees(write.name.collection, current)


def bearer(authorization: str) -> str:
    """The token in an Authorization header; empty where it has another scheme."""
    scheme, _, token = authorization.partition(" ")
    return token if scheme.lower() == "bearer" else ""


def hash_token(token: str) -> bytes:
    """What is kept of a token."""
    return sha256(token.encode(errors="surrogateescape")).digest()
