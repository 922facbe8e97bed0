"""Sessions as Firestore documents, both ways, and as one JSON object. Pure.

A session, its stats and their invokes are documents of three collections; each names its parent.

| collection | fields |
|---|---|
| sessions | id, package, created_at, environment, deletion_key_hash |
| session_stats | id, package, session, deletion_key_hash, label, total_invokes, success_count, failed_count, success_rate, min_duration_ms, max_duration_ms, total_duration_ms, context_keys |
| invokes | id, package, session_stats, deletion_key_hash, label, status, execution_start, execution_end, duration_ms, context |

The hash of the session's deletion key is in each of them: it proves that a document comes from the session's own program.

All times of a session are moved back by one amount (`Session.shift_us`), so that it begins at its full hour and no time
shows which import belongs to it. `to_dict` keeps the real times, since a saved session is its user's own.

The minimum and maximum of a label without invokes, which are infinite, are written as 0. What a contract keeps private
(see `plaintally.contract.Source`) is left out unless it is asked for.
"""  # noqa: E501  # a table

import hashlib
import re
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, TypeGuard

from plaintally import _valid_package
from plaintally.contract import Contract
from plaintally.exceptions import DocumentError
from plaintally.firestore import from_document, to_document
from plaintally.session import DEFAULT_CAPACITY, Session, SessionInvoke, SessionStats
from plaintally.session.invoke import LATEST_US
from plaintally.versions import coarse_version

FORMAT = 1
COLLECTIONS = ("sessions", "session_stats", "invokes")
_UUID = re.compile("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?Z")
_DIGEST = re.compile("[0-9a-f]{64}")
_KEY = re.compile("[0-9a-f]{32}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_COUNTS = ("total_invokes", "success_count", "failed_count")
_DURATIONS = ("min_duration_ms", "max_duration_ms", "total_duration_ms")
FIGURES = (*_COUNTS, *_DURATIONS)


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
            **_figures(stats),
        }
    )


def invoke(
    invoke: SessionInvoke, stats_id: str, *, include: Collection[str] = ()
) -> dict[str, Any]:
    """The document of an invoke in `invokes`.

    `include` names what is private and goes along this time: `error_message`, `source`.
    """
    fields = invoke._stats.fields  # its own package
    start, end = _times(invoke)
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
            "execution_start": start,
            "execution_end": end,
            "duration_ms": invoke.duration_ms,
            "context": context,
        }
    )


def coarse_environment(session: Session) -> dict[str, object]:
    """The environment of a session as it leaves, with a coarse version whatever a file says."""
    found = session.environment
    coarse = (
        {"package_version": coarse_version(found["package_version"])}
        if "package_version" in found
        else {}
    )
    return {**found, **coarse}


def from_session(
    document: Mapping[str, Any],
    *,
    contract: Contract | None = None,
    capacity: int = DEFAULT_CAPACITY,
) -> Session:
    """The session of a document, without its stats, and with room for `capacity` invokes of each label.

    Raises:
        DocumentError: it is no document of a session.
    """
    fields = from_document(document)
    with _Reading("a session"):
        restored = Session(
            fields["package"],
            contract=contract,
            environment=fields["environment"],
            capacity=capacity,
            created_at_ns=_nanoseconds(fields["created_at"]),
        )
        restored.restore(identifier=_uuid(fields["id"]))
    return restored


def from_session_stats(
    document: Mapping[str, Any], session: Session | None = None
) -> tuple[SessionStats, str]:
    """The stats of a document, put into `session` where one is given, and the id of their session.

    Raises:
        DocumentError: it is no document of stats.
    """
    fields = from_document(document)
    with _Reading("the stats of a session"):
        owner = session or Session(fields["package"])
        return _restore_stats(owner, fields["label"], fields), str(fields["session"])


def from_invoke(
    document: Mapping[str, Any], stats: SessionStats | None = None
) -> tuple[SessionInvoke, str]:
    """The invoke of a document, put into `stats` where they are given, and the id of its stats.

    Raises:
        DocumentError: it is no document of an invoke.
    """
    fields = from_document(document)
    with _Reading("an invoke"):
        owner = stats or SessionStats(Session(fields["package"]), fields["label"])
        return _restore_invoke(owner, fields), str(fields["session_stats"])


def to_dict(session: Session) -> dict[str, Any]:
    """A session with all it holds, also what never leaves, as plain JSON types."""
    return {
        "format": FORMAT,
        "package": session.package,
        "id": session.id,
        "created_at": session.created_at.isoformat(),
        "environment": session.environment,
        "capacity": session.capacity,
        "deletion_key": session.deletion_key,
        "contract": None if session.contract is None else session.contract.to_dict(),
        "labels": {label: _stats_to_dict(session.stats(label)) for label in session.labels},
    }


def from_dict(data: Mapping[str, Any]) -> Session:
    """The session that `to_dict` wrote; what its contract does not let in is dropped.

    Raises:
        DocumentError: the data has another shape.
    """
    with _Reading("a saved session"):
        if data["format"] != FORMAT:
            raise ValueError(
                f"it has the format {data['format']!r}, and this version reads {FORMAT}"
            )
        restored = Session(
            _valid_package(data["package"]),
            contract=None if data["contract"] is None else Contract.from_dict(data["contract"]),
            environment=_environment(data["environment"]),
            capacity=data["capacity"],
            created_at_ns=_nanoseconds(datetime.fromisoformat(data["created_at"])),
        )
        restored.restore(identifier=_uuid(data["id"]), key=_key(data["deletion_key"]))
        for label, fields in data["labels"].items():
            stats = _restore_stats(restored, label, fields)
            stats.dropped = {key: _whole(count) for key, count in fields["dropped"].items()}
            for entry in fields["invokes"]:
                times = {
                    name: datetime.fromisoformat(entry[name])
                    for name in ("execution_start", "execution_end")
                }
                context = entry["context"] if restored.contract is not None else {}
                _check_times(
                    _restore_invoke(stats, {**entry, "label": label, "context": context, **times})
                )
    return restored


def hash_key(deletion_key: str) -> str:
    """What a collector keeps of a deletion key: its SHA-256 in 64 hexadecimal digits."""
    return hashlib.sha256(deletion_key.encode()).hexdigest()


def _shift(session: Session) -> timedelta:
    """By how much the times of a session are moved back when they leave."""
    return timedelta(microseconds=session.shift_us)


def _check_times(invoke: SessionInvoke) -> None:
    """Raise OverflowError if a saved invoke has times that no clock gives, and which would leave as other times."""
    if not 0 <= invoke._start_ns <= invoke._start_ns + invoke._elapsed_ns <= LATEST_US * 1000:
        raise OverflowError("date value out of range")


def _times(invoke: SessionInvoke) -> tuple[datetime, datetime | None]:
    """When an invoke began and ended, as it leaves."""
    shift, end = _shift(invoke._stats.session), invoke.execution_end
    return invoke.execution_start - shift, None if end is None else end - shift


def _figures(stats: SessionStats) -> dict[str, Any]:
    durations = {name: getattr(stats, name) if stats.total_invokes else 0.0 for name in _DURATIONS}
    return {
        "label": stats.label,
        **{name: getattr(stats, name) for name in _COUNTS},
        "success_rate": stats.success_rate,
        **durations,
        "context_keys": sorted(stats.context_keys),
    }


def _stats_to_dict(stats: SessionStats) -> dict[str, Any]:
    return {
        "id": stats.id,
        **_figures(stats),
        "dropped": stats.dropped,
        "invokes": [
            {
                "id": invoke.id,
                "status": invoke.status,
                "execution_start": invoke.execution_start.isoformat(),
                "execution_end": invoke.execution_end.isoformat() if invoke.execution_end else None,
                "duration_ms": invoke.duration_ms,
                "context": invoke.context,
            }
            for invoke in stats.invokes
        ],
    }


def _restore_stats(session: Session, label: str, fields: Mapping[str, Any]) -> SessionStats:
    stats = session.add_label(label)
    if stats is None:
        raise ValueError(f"{label!r} is no label, or one too many")
    stats.id = _uuid(fields["id"])
    for name in _COUNTS:
        setattr(stats, name, _whole(fields[name]))
    for name in _DURATIONS if stats.total_invokes else ():
        setattr(stats, name, _duration(fields[name]))
    known = fields["context_keys"] if session.contract is None else set(stats.fields)
    stats.context_keys = {str(key) for key in fields["context_keys"] if key in known}
    return stats


def _restore_invoke(stats: SessionStats, fields: Mapping[str, Any]) -> SessionInvoke:
    restored = SessionInvoke(stats)
    if fields["label"] != stats.label or fields["status"] not in ("success", "error"):
        raise ValueError("an invoke has the label of its stats, and the status success or error")
    restored.restore(
        identifier=_uuid(fields["id"]),
        status=fields["status"],
        start_ns=_nanoseconds(fields["execution_start"]),
        elapsed_ns=round(_duration(fields["duration_ms"]) * 1e6),
    )
    kinds = stats.fields
    restored.context = {
        key: value
        for key, value in fields["context"].items()
        if stats.session.contract is None or (key in kinds and kinds[key].accepts(value))
    }
    stats.invokes.append(restored)
    return restored


def is_uuid(text: object) -> bool:
    """Whether this is the text of a UUID, as ids are."""
    return isinstance(text, str) and _UUID.fullmatch(text) is not None


def is_time(text: object) -> TypeGuard[str]:
    """Whether this is a time in UTC as RFC 3339 writes it, such as 2026-11-23T20:15:30.123456Z."""
    return isinstance(text, str) and _TIME.fullmatch(text) is not None


def is_digest(text: object) -> TypeGuard[str]:
    """Whether this is a SHA-256 in 64 hexadecimal digits."""
    return isinstance(text, str) and _DIGEST.fullmatch(text) is not None


def _uuid(text: object) -> str:
    if not is_uuid(text):
        raise ValueError("an id is a UUID such as 9eb898b5-76a4-49b0-b1b6-ba209ba39adf")
    return str(text)


def _key(text: object) -> str:
    if not isinstance(text, str) or not _KEY.fullmatch(text):
        raise ValueError("a deletion key has 32 hexadecimal digits")
    return text


def _environment(values: object) -> dict[str, object]:
    is_plain = isinstance(values, dict) and all(
        type(value) in (str, int) for value in values.values()
    )
    if not isinstance(values, dict) or not is_plain:
        raise ValueError("an environment is an object with texts and whole numbers")
    return values


def _whole(number: object) -> int:
    if type(number) is not int or not 0 <= number < 2**63:
        raise ValueError("a number of invokes is a whole number of 63 bits")
    return number


def _duration(number: object) -> float:
    if type(number) not in (int, float) or not 0 <= number < 1e15:  # type: ignore[operator]
        raise ValueError("a duration is a number of milliseconds, not below 0")
    return float(number)  # type: ignore[arg-type]


def _nanoseconds(moment: datetime) -> int:
    since = moment.astimezone(UTC) - _EPOCH
    return ((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds) * 1000


class _Reading:
    """Turns whatever a wrong shape comes to into one sentence."""

    def __init__(self, what: str) -> None:
        self.what = what

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: object
    ) -> None:
        if isinstance(error, DocumentError):
            return
        if isinstance(error, KeyError):
            raise DocumentError(f"this is not {self.what}: it has no {error.args[0]}") from error
        if isinstance(
            error, (TypeError, ValueError, AttributeError, OverflowError, RecursionError)
        ):
            raise DocumentError(f"this is not {self.what}: {error}") from error
