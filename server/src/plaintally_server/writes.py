"""What a change to a document comes to inside the store's transaction. Pure."""

from datetime import datetime

from plaintally_server import ingest
from plaintally_server.commits import Action, Change
from plaintally_server.fieldpaths import Fields, merge
from plaintally_server.ingest import Admitted, Policy
from plaintally_server.store import Write


def prepare(change: Change, policy: Policy, now: datetime) -> Write:
    """The write that makes a change to whatever is stored when its turn comes.

    Raises:
        Refusal: documents of such a collection are not taken.
    """
    name = change.name
    if change.action is Action.DELETE:
        erases = name.collection not in policy.open_collections
        return Write(name, change.precondition, lambda _: None, now, erases)
    if change.action is Action.VERIFY:
        return Write(name, change.precondition, _leave, now)
    ingest.check_collection(name.collection, policy)

    def settle(current: Fields | None) -> Admitted:
        return ingest.admit(name, merge(current, change.fields, change.mask), policy, current=current)

    return Write(name, change.precondition, settle, now)


def _leave(current: Fields | None) -> Admitted | None:
    """What is there stays as it is."""
    return None if current is None else Admitted(current, "")
