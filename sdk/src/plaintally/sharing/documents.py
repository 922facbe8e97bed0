"""Sessions as Firestore documents, both ways, and as one JSON object. Pure.

A session, its stats and their invokes are documents of three collections; each names its parent.

- `sessions`: id, package, created_at, environment, deletion_key_hash
- `session_stats`: id, package, session, deletion_key_hash, label, total_invokes, success_count,
  failed_count, success_rate, min_duration_ms, max_duration_ms, total_duration_ms, context_keys
- `invokes`: id, package, session_stats, deletion_key_hash, label, status, execution_start,
  execution_end, duration_ms, context

The hash of the deletion key proves that a document comes from the session's own program.

All times of a session are moved back by one amount (`Session.shift_us`), so that it begins at its
full hour and no time shows which import belongs to it. `to_dict` keeps the real times, since a
saved session is its user's own.

The minimum and maximum of a label without invokes, which are infinite, are written as 0. What a
contract keeps private (see `plaintally.contract.Source`) is left out unless it is asked for.
"""

import hashlib
import re
from collections.abc import Collection
from datetime import timedelta
from typing import Any, TypeGuard

from plaintally.firestore import to_document
from plaintally.session import Session, SessionInvoke, SessionStats
from plaintally.session.saved import figures
from plaintally.versions import coarse_version

_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?Z")
_DIGEST = re.compile("[0-9a-f]{64}")


def session(session: Session) -> dict[str, Any]:
    """The document of a session in `sessions`."""
    return to_document(
        {
            "id": session.id,
            "package": session.package,
            "created_at": session.created_at - _shift(session),
            "environment": coarse_environment(session),
            "deletion_key_hash": hash_key(session.deletion_key),
        }
    )


def session_stats(stats: SessionStats, session_id: str) -> dict[str, Any]:
    """The document of a label's stats in `session_stats`."""
    return to_document(
        {
            "id": stats.id,
            "package": stats.session.package,
            "session": session_id,
            "deletion_key_hash": hash_key(stats.session.deletion_key),
            **figures(stats),
        }
    )


def invoke(
    invoke: SessionInvoke, stats_id: str, *, include: Collection[str] = ()
) -> dict[str, Any]:
    """The document of an invoke in `invokes`.

    `include` names what is private and goes along this time: `error_message`, `source`.
    """
    fields = invoke._stats.fields  # its own package
    shift = _shift(invoke._stats.session)
    end = invoke.execution_end
    context = {
        key: value
        for key, value in invoke.context.items()
        if key in fields and (fields[key].private is None or fields[key].private in include)
    }
    return to_document(
        {
            "id": invoke.id,
            "package": invoke._stats.session.package,
            "session_stats": stats_id,
            "deletion_key_hash": hash_key(invoke._stats.session.deletion_key),
            "label": invoke.label,
            "status": invoke.status,
            "execution_start": invoke.execution_start - shift,
            "execution_end": None if end is None else end - shift,
            "duration_ms": invoke.duration_ms,
            "context": context,
        }
    )


def coarse_environment(session: Session) -> dict[str, object]:
    """The environment of a session as it leaves, with a coarse version whatever a file says."""
    found = dict(session.environment)
    if "package_version" in found:
        found["package_version"] = coarse_version(found["package_version"])
    return found


def hash_key(deletion_key: str) -> str:
    """What a collector keeps of a deletion key: its SHA-256 in 64 hexadecimal digits."""
    return hashlib.sha256(deletion_key.encode()).hexdigest()


def _shift(session: Session) -> timedelta:
    """By how much the times of a session are moved back when they leave."""
    return timedelta(microseconds=session.shift_us)


def is_time(text: object) -> TypeGuard[str]:
    """Whether this is a time in UTC as RFC 3339 writes it, such as 2026-11-23T20:15:30.123456Z."""
    return isinstance(text, str) and _TIME.fullmatch(text) is not None


def is_digest(text: object) -> TypeGuard[str]:
    """Whether this is a SHA-256 in 64 hexadecimal digits."""
    return isinstance(text, str) and _DIGEST.fullmatch(text) is not None
