"""Made stores: documents of several days, as a collector would have taken them."""

import asyncio
import random
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from msgspec import json

from plaintally_server.firestore.documents import Name, Precondition
from plaintally_server.ingest.collections import INVOKES, SESSIONS, STATS
from plaintally_server.ingest.imports import make_counted
from plaintally_server.model import Admitted, Import, Write
from plaintally_server.store import clock, tables
from plaintally_server.store.database import Database, exclusively, open_for_writing
from plaintally_server.store.opening import open_reader, open_store
from plaintally_server.store.reader import SQLReader
from plaintally_server.store.statements import add

ENVIRONMENT = {
    "python_version": "3.12",
    "package_version": "1.2.0",
    "os": "Linux",
    "machine": "x86_64",
    "cpu_threads": 8,
    "word_size": 64,
}


def at(day: date, seconds: float = 0) -> datetime:
    return datetime.combine(day, time(), UTC) + timedelta(seconds=seconds)


def count(fields: dict[str, Any], received_at: datetime, *, package: str = "rxinfer") -> Import:
    coarse = {
        name: fields[name] for name in ("package_version", "python_version") if name in fields
    }
    kept = make_counted(package, fields["id"], fields["id"], json.encode(coarse).decode())
    return Import(package, *kept, fields, received_at, must_be_new=False)


def write(
    collection: str,
    fields: dict[str, Any],
    received_at: datetime,
    *,
    package: str = "rxinfer",
    parent: str = "",
) -> Write:
    admitted = Admitted(fields, package, parent=parent or None)
    name = Name("p", "(default)", collection, fields["id"])
    return Write(name, Precondition(), admitted, received_at, parent=admitted.parent)


def delete(collection: str, document: str, received_at: datetime) -> Write:
    return Write(
        Name("p", "(default)", collection, document),
        Precondition(),
        None,
        received_at,
    )


def commit(database: Database, writes: Sequence[Write | Import]) -> SQLReader:
    with closing(open_store(database)) as store:
        asyncio.run(store.commit(writes))
    return open_reader(database)


def counts(
    chance: random.Random, days: Sequence[date], number: int, *, package: str = "rxinfer"
) -> Iterator[Import]:
    """Imports at any time of the days; those of rxinfer have versions."""
    for _ in range(number):
        moment = at(chance.choice(days), chance.randrange(86_400))
        fields = {"id": new_id(chance), "timestamp": moment - timedelta(seconds=1)}
        if package == "rxinfer":
            fields |= {
                "package_version": chance.choice(["1.1.0", "1.2.0"]),
                "python_version": f"3.{chance.randint(11, 13)}",
            }
        yield count(fields, moment, package=package)


def session(
    chance: random.Random, moment: datetime, *, invokes: int, model: str = "local_level"
) -> Iterator[Write]:
    """A session with one label and its invokes, all received at a moment."""
    session_id = new_id(chance)
    stats_id = new_id(chance)
    label = chance.choice(["inference", "plot"])
    own = {"package": "rxinfer", "deletion_key_hash": "5ec8e7" * 10 + "abcd"}
    names: dict[str, Any] = {**own, "label": label}
    fields: dict[str, Any] = {"created_at": moment, "environment": ENVIRONMENT}
    yield write(SESSIONS, {"id": session_id, **own, **fields}, moment)
    numbers: dict[str, float] = dict.fromkeys(
        ("total_invokes", "success_count", "failed_count"), invokes
    )
    numbers |= dict.fromkeys(
        ("success_rate", "min_duration_ms", "max_duration_ms", "total_duration_ms"), 1.0
    )
    stats = {
        "id": stats_id,
        "session": session_id,
        **names,
        **numbers,
        "context_keys": ["model_name"],
    }
    yield write(STATS, stats, moment, parent=session_id)
    for _ in range(invokes):
        duration_ms = chance.choice([0.0, 1.0, chance.lognormvariate(3, 2)])
        start = {"execution_start": moment, "execution_end": moment}
        status = chance.choice(["success", "success", "error"])
        invoke = {
            "id": new_id(chance),
            "session_stats": stats_id,
            **names,
            "status": status,
            **start,
        }
        invoke |= {"duration_ms": duration_ms, "context": {"model_name": model}}
        yield write(INVOKES, invoke, moment, parent=stats_id)


def new_id(chance: random.Random) -> str:
    return str(UUID(int=chance.getrandbits(128), version=4))


def run_until(database: Database, moment: datetime, *, hours: float = 25) -> None:
    """Note that a collector has run for so many hours up to a moment, by a clock that did not
    jump."""
    engine = open_for_writing(database)
    with exclusively(engine) as connection:
        for minutes in range(round(60 * hours), -1, -4):
            at = moment - timedelta(minutes=minutes)
            clock.note(connection, at)
            add(
                connection,
                tables.rollups,
                {"package": "", "day": at.date()},
                {(tables.UP, f"{at:%H}"): 1},
            )
    engine.dispose()
