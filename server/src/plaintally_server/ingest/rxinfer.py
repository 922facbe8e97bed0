"""The documents of RxInfer.jl, whose shape a contract admits by `dialect="rxinfer"`. Pure.

They name no package: they belong to the only package of a collector that has this dialect. They
name their environment, labels and contexts as they like, and have no deletion key, so that only a
maintainer deletes them. Their times are local ones with a Z behind.

The shapes are those that https://github.com/ReactiveBayes/RxInfer.jl sends, in src/telemetry.jl.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from plaintally.contract import Contract
from plaintally_server.exceptions import StartError
from plaintally_server.firestore.field_paths import Fields
from plaintally_server.ingest import json_schema
from plaintally_server.ingest.collections import INVOKES, SESSIONS, STATS
from plaintally_server.ingest.rules import MAX_CONTEXT_KEYS, VERSION, Rule
from plaintally_server.ingest.shared_fields import SHARED

RXINFER = "rxinfer"
_LABEL = Rule(
    lambda value: isinstance(value, str) and 0 < len(value) <= 64,  # noqa: PLR2004
    "a stringValue of at most 64 characters",
    json_schema.text(minLength=1, maxLength=64),
)
_TOTALS = ("total_invokes", "success_count", "failed_count", "total_duration_ms")
_STATUSES = ("unknown", "success", "error")


def _is_environment(value: object) -> bool:
    return (
        isinstance(value, Mapping)
        and len(value) <= MAX_CONTEXT_KEYS
        and all(
            item is None
            or isinstance(item, (int, float))
            or (isinstance(item, str) and len(item) <= 256)  # noqa: PLR2004
            for item in value.values()
        )
    )


VERSIONS = ("rxinferVersion", "juliaVersion")
"""The fields that a count may have besides `id` and `timestamp`, each a version."""
COUNT_ORDERS = ((*VERSIONS, "timestamp", "id"), ("timestamp", "id"))
"""The fields of a count in the orders in which RxInfer.jl's releases write them."""


def _without_key(collection: str, *missing: str) -> dict[str, Rule]:
    """Return the fields of a collection's documents, except those that RxInfer.jl does not send."""
    absent = ("package", "deletion_key_hash", *missing)
    return {name: rule for name, rule in SHARED[collection].items() if name not in absent}


SHAPES: Mapping[str, Mapping[str, Rule]] = {
    SESSIONS: {
        **_without_key(SESSIONS),
        "environment": Rule(
            _is_environment,
            "a mapValue of booleans, numbers and short texts",
            json_schema.mapping(json_schema.refer("Fields")),
        ),
    },
    STATS: {**_without_key(STATS), "label": _LABEL},
    INVOKES: {
        **_without_key(INVOKES, "label", "duration_ms"),
        "status": Rule(
            lambda value: value in _STATUSES,
            "unknown, success or error",
            json_schema.text(enum=_STATUSES),
        ),
    },
}
"""By collection, the fields of what users share."""


def find_package(contracts: Mapping[str, Contract]) -> str | None:
    """The package with this dialect.

    Raises:
        StartError: several have it, so that nobody could tell whose documents are whose.
    """
    packages = [package for package, contract in contracts.items() if contract.dialect == RXINFER]
    if len(packages) > 1:
        raise StartError(
            f"only one package can have the dialect {RXINFER}, not {', '.join(sorted(packages))}"
        )
    return packages[0] if packages else None


def is_count(fields: Fields) -> bool:
    """Whether these are the fields of a count, as far as this dialect goes beyond any other's."""
    return {"id", "timestamp"} <= set(fields) <= {"id", "timestamp", *VERSIONS} and all(
        isinstance(fields[name], str) and VERSION.fullmatch(fields[name])
        for name in VERSIONS
        if name in fields
    )


def coarse_fields(fields: Fields) -> Fields:
    """Return the coarse fields of an import by the names that contracts have for them."""
    return {"package_version": fields[VERSIONS[0]]} if VERSIONS[0] in fields else {}


def may_replace(collection: str, fields: Fields, current: Fields) -> bool:
    """Return whether a document may replace the stored one without a key.

    Statistics may, if they add runs, stay at their place, and none of their totals shrinks. A
    session and a run never change.
    """
    if collection != "session_stats" or "package" in current:
        return False
    stays = all(fields[name] == current[name] for name in ("session", "label"))
    grows = fields["total_invokes"] > current["total_invokes"]
    return stays and grows and all(fields[name] >= current[name] for name in _TOTALS)


def complete(fields: Fields, package: str, *, label: str = "") -> dict[str, Any]:
    """Return the fields as other packages name them; fields that have those names stay."""
    completed = {"package": package, **fields}
    if "execution_start" in fields:
        start = fields["execution_start"]
        end = fields["execution_end"]
        completed = {"label": label, "duration_ms": _milliseconds(start, end), **completed}
    if VERSIONS[0] in fields:
        completed = {"package_version": fields[VERSIONS[0]], **completed}
    return completed


def _milliseconds(start: datetime, end: datetime) -> float:
    return max(0.0, (end - start).total_seconds() * 1000)
