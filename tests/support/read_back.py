"""Sessions, their stats and invokes out of the documents that share them."""

from collections.abc import Mapping
from typing import Any

from plaintally.contract import Contract
from plaintally.session import Session, SessionInvoke, SessionStats
from plaintally.session.saved import nanoseconds, restore_invoke, restore_stats
from plaintally_server.firestore.values import from_document


def read_session(document: Mapping[str, Any], contract: Contract | None = None) -> Session:
    """Return the session of a document, without stats."""
    fields = from_document(document)
    session = Session(
        fields["package"],
        contract=contract,
        environment=fields["environment"],
        created_at_ns=nanoseconds(fields["created_at"]),
    )
    session.restore(identifier=fields["id"])
    return session


def read_stats(document: Mapping[str, Any], session: Session) -> tuple[SessionStats, str]:
    """Return the stats of a document, put into a session, and the id of their session."""
    fields = from_document(document)
    return restore_stats(session, fields["label"], fields), fields["session"]


def read_invoke(document: Mapping[str, Any], stats: SessionStats) -> tuple[SessionInvoke, str]:
    """Return the invoke of a document, put into stats, and the id of its stats."""
    fields = from_document(document)
    return restore_invoke(stats, fields), fields["session_stats"]
