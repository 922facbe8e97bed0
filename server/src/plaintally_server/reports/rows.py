"""Documents and imports as flat rows of typed columns: metrics count them, exports hold them. Pure.

The hash of a deletion key is never part of them.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from plaintally_server.firestore.documents import Stored
from plaintally_server.firestore.field_paths import Fields
from plaintally_server.ingest import rxinfer
from plaintally_server.model import OTHER, ImportHour
from plaintally_server.reports.histogram import bucket_of

Row = tuple[Any, ...]
_LONGEST_US = 2**40
"""About twelve days: the sum of millions of runs fits into 64 bits, whatever clients claim."""

COLUMNS: Mapping[str, Mapping[str, str]] = {
    "imports": {
        "hour": "time",
        "package_version": "string",
        "python_version": "string",
        "imports": "integer",
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
RECEIVED: Mapping[str, str] = {
    table: "hour" if table == "imports" else "received_at" for table in COLUMNS
}
"""By table, the column that says when a row was received."""


def to_row(table: str, stored: Stored, *, package: str, label: str | None = None) -> Row:
    """A document as a row of its table, in the order of `COLUMNS`.

    Args:
        table: the table.
        stored: the document.
        package: whose it is.
        label: that of its stats, for an invoke that does not say it.
    """
    fields = rxinfer.complete(stored.fields, package, label=label or "")
    found = {**fields, "received_at": stored.create_time, **_MORE[table](fields)}
    return tuple(found.get(column) for column in COLUMNS[table])


def to_import_row(found: ImportHour) -> Row:
    """Return the imports of an hour with the same coarse fields as a row of the table `imports`."""
    coarse: Fields = (
        dict.fromkeys(("package_version", "python_version"), OTHER)
        if found.coarse == OTHER
        else msgspec.json.decode(found.coarse)
    )
    row = {"hour": found.hour, "imports": found.imports, **coarse}
    return tuple(row.get(column) for column in COLUMNS["imports"])


def needs_label(table: str, stored: Stored) -> bool:
    """Whether this is an invoke that does not say its label."""
    return table == "invokes" and "label" not in stored.fields


def _of_session(fields: Fields) -> Fields:
    environment = fields["environment"]
    versions = {name: environment.get(name) for name in ("package_version", "python_version")}
    texts = {name: version for name, version in versions.items() if isinstance(version, str)}
    return {**texts, "environment": _json(environment)}


def _of_stats(fields: Fields) -> Fields:
    return {"context_keys": _json(fields["context_keys"])}


def _of_invoke(fields: Fields) -> Fields:
    duration_ms = fields["duration_ms"]
    duration_us = round(min(duration_ms * 1000, _LONGEST_US))
    durations = {"duration_us": duration_us, "duration_bucket": bucket_of(duration_ms)}
    return {**durations, "context": _json(fields["context"])}


def _json(value: object) -> str:
    return msgspec.json.encode(value, enc_hook=str).decode()


_MORE: Mapping[str, Callable[[Fields], Fields]] = {
    "sessions": _of_session,
    "stats": _of_stats,
    "invokes": _of_invoke,
}
