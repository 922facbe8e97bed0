"""What of a document stands in an export: flat rows of typed columns. Pure.

Two things never do: the hash of a deletion key, which is nobody's business but the collector's, and the id that a count
is named by, where it is another than the one it is counted by.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec

from plaintally_server import dialects
from plaintally_server.fieldpaths import Fields
from plaintally_server.reports.histogram import bucket_of
from plaintally_server.resource import Stored

Row = tuple[Any, ...]
_NEAR = timedelta(days=1)
_LONGEST_US = 2**40  # some twelve days: whatever somebody claims, millions of invokes add up to 64 bits

COLUMNS: Mapping[str, Mapping[str, str]] = {
    "counts": {
        "id": "string",
        "received_at": "time",
        "timestamp": "time",
        "package_version": "string",
        "python_version": "string",
        "clock": "string",
    },
    "sessions": {
        "id": "string",
        "received_at": "time",
        "created_at": "time",
        "package_version": "string",
        "python_version": "string",
        "environment": "json",
    },
    "stats": {
        "id": "string",
        "received_at": "time",
        "session": "string",
        "label": "string",
        "total_invokes": "integer",
        "success_count": "integer",
        "failed_count": "integer",
        "min_duration_ms": "number",
        "max_duration_ms": "number",
        "total_duration_ms": "number",
        "context_keys": "json",
    },
    "invokes": {
        "id": "string",
        "received_at": "time",
        "session_stats": "string",
        "label": "string",
        "status": "string",
        "execution_start": "time",
        "execution_end": "time",
        "duration_ms": "number",
        "duration_us": "integer",
        "duration_bucket": "bucket",
        "context": "json",
    },
}
"""By table, its columns and their types; package and day stand in the path."""


def to_row(table: str, stored: Stored, *, package: str, label: str | None = None) -> Row:
    """A document as a row of its table, in the order of `COLUMNS`.

    Args:
        table: the table.
        stored: the document.
        package: whose it is.
        label: that of its stats, for an invoke that does not say it.
    """
    fields = dialects.complete(stored.fields, package, label=label or "")
    found = {**fields, "received_at": stored.create_time, **_MORE.get(table, _nothing)(fields)}
    if isinstance(sent_at := fields.get("timestamp"), datetime):
        found["clock"] = judge_clock(sent_at, stored.create_time)
    return tuple(found.get(column) for column in COLUMNS[table])


def judge_clock(sent_at: datetime, received_at: datetime) -> str:
    """Whether a sender's clock can be right: `near`, or else more than a day `ahead` or `behind`.

    A day lets pass whoever takes local time for UTC, and whatever waited for a network.
    """
    if abs(sent_at - received_at) <= _NEAR:
        return "near"
    return "ahead" if sent_at > received_at else "behind"


def needs_label(table: str, stored: Stored) -> bool:
    """Whether this is an invoke that does not say its label."""
    return table == "invokes" and "label" not in stored.fields


def _of_session(fields: Fields) -> Fields:
    environment = fields["environment"]
    versions = {name: environment.get(name) for name in ("package_version", "python_version")}
    texts = {name: version for name, version in versions.items() if isinstance(version, str)}  # a dialect has any
    return {**texts, "environment": _json(environment)}


def _of_stats(fields: Fields) -> Fields:
    return {"context_keys": _json(fields["context_keys"])}


def _of_invoke(fields: Fields) -> Fields:
    duration_ms = fields["duration_ms"]
    duration_us = round(min(duration_ms * 1000, _LONGEST_US))
    durations = {"duration_us": duration_us, "duration_bucket": bucket_of(duration_ms)}
    return {**durations, "context": _json(fields["context"])}


def _nothing(_: Fields) -> Fields:
    return {}


def _json(value: object) -> str:
    return msgspec.json.encode(value, enc_hook=str).decode()


_MORE: Mapping[str, Callable[[Fields], Fields]] = {
    "sessions": _of_session,
    "stats": _of_stats,
    "invokes": _of_invoke,
}
