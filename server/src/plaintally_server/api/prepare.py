"""What a change to a document comes to inside the store's transaction. Pure."""

from datetime import datetime

from plaintally_server.auth.permissions import Access
from plaintally_server.exceptions import forbidden
from plaintally_server.firestore.documents import Stored
from plaintally_server.firestore.writes import Action, Change
from plaintally_server.ingest.collections import is_import
from plaintally_server.ingest.imports import no_documents
from plaintally_server.ingest.shared_fields import parent_of
from plaintally_server.model import Admitted, Import, Write


def prepare(change: Change, access: Access, now: datetime) -> Write | Import:
    """The write that makes a change to whatever is stored when its turn comes.

    Raises:
        Refusal: documents of such a collection are not taken, the change needs a token that the
            sender has not, or it is an import that is not admitted or is to be changed.
    """
    name = change.name
    if not change.is_whole:
        check_part(name.collection, access, change.action)
    if is_import(name.collection):
        access.check_collection(name.collection)
        if not change.is_whole:
            raise no_documents()
        admitted = access.admit(name, dict(change.fields))
        return make_import(admitted, now, must_be_new=change.precondition.exists is False)
    if change.action is Action.DELETE:
        return Write(name, change.precondition, None, now, by=access)
    if change.action is Action.UPDATE:
        access.check_collection(name.collection)
    parent = parent_of(name.collection, change.fields)
    return Write(name, change.precondition, change, now, parent=parent, by=access)


def make_import(admitted: Admitted, now: datetime, *, must_be_new: bool) -> Import:
    """Return the write of an import that was admitted."""
    assert admitted.counted is not None  # noqa: S101  # for the type checker
    return Import(admitted.package, *admitted.counted, admitted.fields, now, must_be_new)


def check_part(collection: str, access: Access, action: Action = Action.UPDATE) -> None:
    """Raise unless the sender may do more to documents of a collection than to write whole ones.

    Raises:
        Refusal: the sender may not.
    """
    if action is not Action.UPDATE:
        access.check([collection])
    elif not access.opens(collection):
        raise forbidden(
            "Missing or insufficient permissions: without a maintainer's token a write is a whole "
            "document; leave out "
            "masks, and all preconditions but exists=false."
        )


def as_reported(stored: Stored, change: Change, access: Access, now: datetime) -> Stored:
    """Return what a write answers; a sender who may not read sees what they sent, and when."""
    if access.sees(change.name.collection, stored.fields):
        return stored
    return Stored(change.fields, now, now)
