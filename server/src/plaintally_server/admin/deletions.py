"""Decide on requests to delete a session, within the packages that a maintainer may see."""

from collections.abc import Sequence
from datetime import datetime

from plaintally_server.exceptions import forbidden, not_found
from plaintally_server.export.layout import Partition
from plaintally_server.ingest.collections import table_of
from plaintally_server.ingest.deletion_requests import parse_session_id
from plaintally_server.model import ForgetRequest, Scope
from plaintally_server.store.maintenance import Maintenance, MaintenanceReader
from plaintally_server.store.timestamps import last_sealed


def list_requests(
    store: MaintenanceReader, scope: Scope, state: str = "waiting"
) -> Sequence[ForgetRequest]:
    """Return the requests in a state: those about documents first, then the oldest."""
    requests = store.forget_requests(state)
    return [one for one in requests if _may_decide(scope, one.package)]


def find_session(store: MaintenanceReader, session_id: str, scope: Scope) -> str:
    """Return the ID of a session as it is stored.

    Raises:
        Refusal: the ID is invalid, or the session is of a package that the maintainer may not see.
    """
    session_id = parse_session_id(session_id)
    if not _may_decide(scope, store.package_of(session_id)):
        raise not_found(f"Nothing of the session {session_id} is here.")
    return session_id


def refuse(store: Maintenance, session_id: str, scope: Scope, now: datetime) -> str:
    """Refuse a request that waits; return what was done.

    Raises:
        Refusal: see `find_session`.
        CommandError: no request waits.
    """
    session_id = find_session(store, session_id, scope)
    store.refuse(session_id, actor=scope.name, at=now)
    return f"Refused; {session_id} stays."


def refuse_empty(store: Maintenance, scope: Scope, now: datetime) -> str:
    """Refuse all requests about no document; return what was done.

    Raises:
        Refusal: the maintainer may not see all packages.
    """
    if scope.packages is not None:
        raise forbidden("This needs a token for all packages.")
    count = store.refuse_empty(actor=scope.name, at=now)
    return f"Refused {count:,} requests about no document."


def find_exported(store: MaintenanceReader, session_id: str, now: datetime) -> Sequence[Partition]:
    """Return the files of an export that hold something of a session."""
    last = last_sealed(now)
    found = {
        Partition(table_of(collection), package, at.date())
        for collection, package, at in store.received(session_id)
    }
    return sorted(partition for partition in found if partition.day <= last)


def _may_decide(scope: Scope, package: str | None) -> bool:
    return scope.packages is None or (package is not None and scope.holds(package))
