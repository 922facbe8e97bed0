"""Sessions as plain JSON types and back, and the files that hold them.

A session comes back as one that `make` makes, so that nothing here depends on the class.
"""

import json
import os
import re
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from plaintally.consent.files import remedy, write_file
from plaintally.contract import Contract, is_name
from plaintally.exceptions import DocumentError
from plaintally.session.invoke import LATEST_US, SessionInvoke

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any

    from plaintally.session import Session, SessionStats

FORMAT = 1
MAX_BYTES = 256 * 1024 * 1024
_UUID = re.compile("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_KEY = re.compile("[0-9a-f]{32}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_COUNTS = ("total_invokes", "success_count", "failed_count")
_DURATIONS = ("min_duration_ms", "max_duration_ms", "total_duration_ms")
FIGURES = (*_COUNTS, *_DURATIONS)


def write(data: "Mapping[str, Any]", path: "str | os.PathLike[str]") -> None:
    """Write what `dump` returned into a file, see `Session.save`."""
    content = json.dumps(data, indent=1).encode()
    try:
        write_file(path, content, secret=True)
    except OSError as error:
        message = f"{error.strerror}; {remedy(error, path)}"
        raise OSError(error.errno, message, error.filename) from error


def read(path: "str | os.PathLike[str]") -> "Any":  # noqa: ANN401  # whatever stands in a file
    """Return the content of a file as JSON, see `Session.load`."""
    with open(path, "rb") as file:
        content = file.read(MAX_BYTES + 1)
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DocumentError(f"{os.fspath(path)} holds no saved session: it is no JSON") from error


def dump(session: "Session") -> "dict[str, Any]":
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


def load(data: "Mapping[str, Any]", *, make: "Callable[..., Session]") -> "Session":
    """The session that `to_dict` wrote; what its contract does not let in is dropped.

    Raises:
        DocumentError: the data has another shape.
    """
    with reading("a saved session"):
        found = data["format"]
        _require(found == FORMAT, f"it has the format {found!r}, and this version reads {FORMAT}")
        _require(is_name(data["package"]), "a package is a name such as mypackage")
        restored = make(
            data["package"],
            contract=None if data["contract"] is None else Contract.from_dict(data["contract"]),
            environment=_environment(data["environment"]),
            capacity=data["capacity"],
            created_at_ns=nanoseconds(datetime.fromisoformat(data["created_at"])),
        )
        key = data["deletion_key"]
        _require(_KEY.fullmatch(key), "a deletion key has 32 hexadecimal digits")
        restored.restore(identifier=read_uuid(data["id"]), key=key)
        for label, fields in data["labels"].items():
            stats = restore_stats(restored, label, fields)
            stats.dropped = {key: _whole(count) for key, count in fields["dropped"].items()}
            for entry in fields["invokes"]:
                start = datetime.fromisoformat(entry["execution_start"])
                context = entry["context"] if restored.contract is not None else {}
                invoke = restore_invoke(
                    stats, {**entry, "label": label, "context": context, "execution_start": start}
                )
                end_ns = invoke._start_ns + invoke._elapsed_ns
                is_possible = invoke._start_ns >= 0 and end_ns <= LATEST_US * 1000
                _require(is_possible, "date value out of range")
    return restored


def figures(stats: "SessionStats") -> "dict[str, Any]":
    """Return what is counted of a label, as it leaves."""
    durations = {name: getattr(stats, name) if stats.total_invokes else 0.0 for name in _DURATIONS}
    return {
        "label": stats.label,
        **{name: getattr(stats, name) for name in _COUNTS},
        "success_rate": stats.success_rate,
        **durations,
        "context_keys": sorted(stats.context_keys),
    }


def _stats_to_dict(stats: "SessionStats") -> "dict[str, Any]":
    return {
        "id": stats.id,
        **figures(stats),
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


def restore_stats(session: "Session", label: str, fields: "Mapping[str, Any]") -> "SessionStats":
    """Give a session the stats of a label; see `reading` for errors of a wrong shape."""
    stats = session.add_label(label)
    if stats is None:
        raise ValueError(f"{label!r} is no label, or one too many")
    stats.id = read_uuid(fields["id"])
    for name in _COUNTS:
        setattr(stats, name, _whole(fields[name]))
    for name in _DURATIONS if stats.total_invokes else ():
        setattr(stats, name, _duration(fields[name]))
    known = fields["context_keys"] if session.contract is None else set(stats.fields)
    stats.context_keys = {str(key) for key in fields["context_keys"] if key in known}
    return stats


def restore_invoke(stats: "SessionStats", fields: "Mapping[str, Any]") -> SessionInvoke:
    """Give stats one more invoke; a wrong shape raises as in `restore_stats`."""
    restored = SessionInvoke(stats)
    if fields["label"] != stats.label or fields["status"] not in ("success", "error"):
        raise ValueError("an invoke has the label of its stats, and the status success or error")
    restored._id = read_uuid(fields["id"])
    restored.status = fields["status"]
    restored._start_ns = nanoseconds(fields["execution_start"])
    restored._elapsed_ns = round(_duration(fields["duration_ms"]) * 1e6)
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


def read_uuid(text: object) -> str:
    """Return an id, or raise ValueError."""
    _require(is_uuid(text), "an id is a UUID such as 9eb898b5-76a4-49b0-b1b6-ba209ba39adf")
    return str(text)


def _environment(values: "Any") -> dict[str, object]:  # noqa: ANN401
    is_plain = isinstance(values, dict) and {*map(type, values.values())} <= {str, int}
    _require(is_plain, "an environment is an object with texts and whole numbers")
    return dict(values)


def _whole(number: "Any") -> int:  # noqa: ANN401
    is_whole = type(number) is int and 0 <= number < 2**63
    _require(is_whole, "a number of invokes is a whole number of 63 bits")
    return int(number)


def _duration(number: "Any") -> float:  # noqa: ANN401
    is_duration = type(number) in (int, float) and 0 <= number < 1e15
    _require(is_duration, "a duration is a number of milliseconds, not below 0")
    return float(number)


def _require(holds: object, message: str) -> None:
    if not holds:
        raise ValueError(message)


def nanoseconds(moment: datetime) -> int:
    """Return the nanoseconds since 1970."""
    return (moment.astimezone(UTC) - _EPOCH) // timedelta(microseconds=1) * 1000


@contextmanager
def reading(what: str) -> "Iterator[None]":
    """Turn whatever a wrong shape comes to into one sentence."""
    try:
        yield
    except DocumentError:
        raise
    except KeyError as error:
        raise DocumentError(f"this is not {what}: it has no {error.args[0]}") from error
    except (TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
        raise DocumentError(f"this is not {what}: {error}") from error
