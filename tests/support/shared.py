"""Shared sessions as documents, and a contract that takes them."""

import copy
import hashlib
import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from collectors import ROOT, Answer, Collector
from plaintally.contract import (
    Choice,
    Contract,
    ErrorType,
    Flag,
    Integer,
    Label,
    Name,
    Real,
    Source,
)

PREFIX = ROOT.removeprefix("/v1/")
KEY = "the-deletion-key-canary"
START = "2026-11-23T20:15:30.123456Z"
CONTRACT = Contract(
    labels={
        "inference": Label(
            {
                "model_name": Choice("local_level", "canary_model"),
                "iterations": Integer(0, 1000),
                "free_energy": Flag(),
                "tolerance": Real(0, 1),
                "solver": Name("[a-z_]+"),
                "source": Source(100_000),
                "log": Source(100_000),
                "error": ErrorType(),
            }
        ),
        "plot": Label(),
    }
)
Document = dict[str, dict[str, dict[str, object]]]
"""A document on the wire: {"fields": {name: {kind: value}}}."""


def string(value: str) -> dict[str, object]:
    return {"stringValue": value}


def integer(value: int) -> dict[str, object]:
    return {"integerValue": str(value)}


def double(value: float) -> dict[str, object]:
    return {"doubleValue": value}


def moment(value: str = START) -> dict[str, object]:
    return {"timestampValue": value}


def mapping(**fields: dict[str, object]) -> dict[str, object]:
    return {"mapValue": {"fields": fields}}


def array(*values: dict[str, object]) -> dict[str, object]:
    return {"arrayValue": {"values": list(values)}}


def hash_key(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


@dataclass
class Shared:
    """A session with one label and its invokes, and their ids."""

    key: str = KEY
    package: str = "rxinfer"
    invokes: int = 2
    longest_source: int = 0
    session: str = field(default_factory=lambda: str(uuid.uuid4()))
    stats: str = field(default_factory=lambda: str(uuid.uuid4()))
    invoke_ids: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.invoke_ids = self.invoke_ids or [str(uuid.uuid4()) for _ in range(self.invokes)]

    @property
    def ids(self) -> list[str]:
        return [self.session, self.stats, *self.invoke_ids]

    @property
    def names(self) -> list[str]:
        return [
            f"sessions/{self.session}",
            f"session_stats/{self.stats}",
            *(f"invokes/{identifier}" for identifier in self.invoke_ids),
        ]

    @property
    def documents(self) -> dict[str, Document]:
        """By collection and id, in the order of sharing."""
        contents = [
            self.session_document(),
            self.stats_document(),
            *map(self.invoke_document, range(self.invokes)),
        ]
        return dict(zip(self.names, contents, strict=True))

    def session_document(self) -> Document:
        environment = mapping(
            python_version=string("3.13"),
            package_version=string("5.0.0"),
            os=string("Linux"),
            machine=string("x86_64"),
            cpu_threads=integer(8),
            word_size=integer(64),
        )
        return {
            "fields": {
                "id": string(self.session),
                "package": string(self.package),
                "created_at": moment(),
                "environment": environment,
                "deletion_key_hash": string(hash_key(self.key)),
            }
        }

    def stats_document(self) -> Document:
        return {
            "fields": {
                "id": string(self.stats),
                "package": string(self.package),
                "session": string(self.session),
                "deletion_key_hash": string(hash_key(self.key)),
                "label": string("inference"),
                "total_invokes": integer(self.invokes),
                "success_count": integer(self.invokes),
                "failed_count": integer(0),
                "success_rate": double(1.0),
                "min_duration_ms": double(0.5),
                "max_duration_ms": double(12.0),
                "total_duration_ms": double(12.5),
                "context_keys": array(string("iterations"), string("model_name")),
            }
        }

    def invoke_document(self, index: int = 0) -> Document:
        length = index * 397 % (self.longest_source + 1)
        # So that any part of it tells whose it is.
        text = f"{self.invoke_ids[index]} " * (length // 37 + 1)
        source = {"source": string(text[:length])} if length else {}
        return {
            "fields": {
                "id": string(self.invoke_ids[index]),
                "package": string(self.package),
                "session_stats": string(self.stats),
                "deletion_key_hash": string(hash_key(self.key)),
                "label": string("inference"),
                "status": string("success"),
                "execution_start": moment(
                    f"2026-11-23T20:{59 - index // 60:02}:{59 - index % 60:02}Z"
                ),
                "execution_end": moment("2026-11-23T21:00:00Z"),
                "duration_ms": double(0.5),
                "context": mapping(
                    model_name=string("canary_model"), iterations=integer(50), **source
                ),
            }
        }


def write_contract(folder: Path, package: str = "rxinfer", contract: Contract = CONTRACT) -> Path:
    path = folder / f"{package}.json"
    path.write_text(json.dumps({"package": package, **contract.to_dict()}))
    return path


def changed(document: Document, **fields: dict[str, object] | None) -> Document:
    """The document with fields set, or without those that are None."""
    found = copy.deepcopy(document)
    found["fields"].update({name: value for name, value in fields.items() if value is not None})
    for name, value in fields.items():
        if value is None:
            found["fields"].pop(name, None)
    return found


def update(name: str, document: Document) -> dict[str, object]:
    return {"update": {"name": f"{PREFIX}/{name}", **document}}


def commit(collector: Collector, *writes: Mapping[str, object], **more: object) -> Answer:
    return collector.request("POST", f"{ROOT}:commit", {"writes": list(writes), **more})


def share(collector: Collector, shared: Shared) -> Answer:
    return commit(
        collector, *(update(name, document) for name, document in shared.documents.items())
    )


def patch(collector: Collector, name: str, document: Document) -> Answer:
    return collector.request("PATCH", f"{ROOT}/{name}", document)


def forget(collector: Collector, session: str, key: str | None = None) -> Answer:
    body = {"session": session} if key is None else {"session": session, "key": key}
    return collector.request("POST", f"{ROOT}:forget", body)


def found_in(database: Path, ids: list[str]) -> list[str]:
    """Which of these UUIDs stand in the file, its write-ahead log or their index."""
    content = b"".join(path.read_bytes() for path in database.parent.glob(f"{database.name}*"))
    written = set(re.findall(rb"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", content))
    return [text for text in ids if text.encode() in written]
