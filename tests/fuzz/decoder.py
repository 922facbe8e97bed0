"""Fuzzes what stands between the bytes of a request and the store, in one process: `scripts/fuzz`.

The first byte of an input chooses what reads the rest. A refusal is an answer; any other exception
is a finding, and so is a document that is not the same when it is written and read again.
"""

import copy
import json
import random
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import atheris

from plaintally_server.ingest.shared_fields import SHARED

with atheris.instrument_imports(include=["plaintally", "plaintally_server"]):
    from plaintally.firestore import to_document
    from plaintally_server.api import parameters
    from plaintally_server.api.prepare import prepare
    from plaintally_server.api.reads import ANSWER_BYTES, encode_document
    from plaintally_server.auth.permissions import settle
    from plaintally_server.exceptions import Refusal
    from plaintally_server.firestore import (
        documents,
        filters,
        queries,
        query_results,
        reads,
        writes,
    )
    from plaintally_server.firestore.bodies import parse_document
    from plaintally_server.firestore.documents import Name, Stored
    from plaintally_server.firestore.field_paths import Fields, parse_field_path, project
    from plaintally_server.firestore.values import from_document
    from plaintally_server.http.compression import decompress
    from plaintally_server.ingest import deletion_requests
    from plaintally_server.ingest.admission import Policy
    from plaintally_server.model import Import, Scope

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
from bad_documents import ATOMS as TEXTS
from bad_json import at, places
from open_collector import OpenAccess
from plaintally.contract import Contract
from shared import CONTRACT, Shared

OPERATORS = [
    "LESS_THAN",
    "EQUAL",
    "NOT_EQUAL",
    "ARRAY_CONTAINS",
    "IN",
    "ARRAY_CONTAINS_ANY",
    "NOT_IN",
    "IS_NAN",
    "OR",
    "a",
]
ATOMS = [*(json.loads(text) for text in TEXTS), *OPERATORS, *range(1, 11)]
POLICY = Policy(
    {"rxinfer": Contract(labels=CONTRACT.labels, counter=["python_version"], dialect="rxinfer")}
)
MAINTAINER = OpenAccess(Scope("all", None), POLICY)
NOW = datetime(2026, 11, 23, 20, 15, 30, tzinfo=UTC)
BASE = Name("p", "(default)", "cities", "a")
CURRENT = [
    (
        BASE._replace(collection=name.partition("/")[0], document=name.partition("/")[2]),
        from_document(document),
    )
    for name, document in Shared(invokes=1).documents.items()
]
KINDS = (None, True, 1, 0.5, NOW, "x", b"x", [1, "x"], {"b": 1})
FOUND = [
    filters.Found(BASE, Stored(fields, NOW, NOW)) for fields in [{"a": kind} for kind in KINDS]
]


def read_document(data: bytes) -> None:
    """A document on its way into each collection."""
    fields = parse_document(data)
    check_round_trip(fields)
    for collection in (*SHARED, "using_rxinfer", "cities"):
        name = BASE._replace(collection=collection, document=str(fields.get("id")))
        try:
            MAINTAINER.admit(name, fields)
        except Refusal as refusal:
            check_refusal(refusal)


def read_writes(data: bytes) -> None:
    """A commit, whose changes meet nothing, and then what is stored."""
    for change in writes.parse_commit(data, project="p"):
        write = prepare(change, MAINTAINER, NOW)
        if isinstance(write, Import):
            check_round_trip(write.fields)
            continue
        for current in (
            None,
            *(fields for name, fields in CURRENT if name.collection == change.name.collection),
        ):
            try:
                admitted = settle(write, current)
            except Refusal as refusal:
                check_refusal(refusal)
            else:
                check_round_trip(admitted.fields if admitted else {})


def read_query(data: bytes) -> None:
    """A query, which is asked of a few documents."""
    query = queries.parse_query(data)
    query_results.run(
        query, FOUND, lambda found: encode_document(*found, query.select), room=ANSWER_BYTES
    )


def read_parameters(data: bytes) -> None:
    """All that may stand behind the question mark."""
    query = parameters.parse_query(data, parameters.PATCH | parameters.LIST)
    parameters.parse_precondition(query)
    reads.parse_page("c", query)
    for name in ("mask.fieldPaths", "updateMask.fieldPaths"):
        for _, fields in CURRENT:
            project(fields, parameters.parse_paths(query, name))


def read_path(data: bytes) -> None:
    """A path; what it names is written as it is read."""
    name = documents.parse_path(data)
    if isinstance(name, Name) and name.document is not None:
        assert documents.parse_document_name(str(name), project=name.project) == name


READERS: list[Callable[[bytes], object]] = [
    read_document,
    read_writes,
    read_query,
    read_parameters,
    read_path,
    lambda data: writes.parse_batch(data, project="p"),
    lambda data: reads.parse_batch_get(data, project="p"),
    lambda data: parse_field_path(data.decode(errors="surrogateescape")),
    lambda data: decompress(data, "gzip", limit=100_000),
    deletion_requests.parse_request,
]


def check_round_trip(fields: Fields) -> None:
    """What is written is what is read again, to the sign of a zero."""
    written = to_document(fields)
    assert str(to_document(from_document(written))) == str(written)


def check_refusal(refusal: Refusal) -> None:
    """It can be answered, and tells of no failure."""
    assert 400 <= refusal.code < 500 or refusal.code == 501
    refusal.message.encode()


def try_one(data: bytes) -> None:
    """One input."""
    try:
        READERS[data[0] % len(READERS) if data else 0](data[1:])
    except Refusal as refusal:
        check_refusal(refusal)


def mutate(data: bytes, max_size: int, seed: int) -> bytes:
    """Another input: every other time a body stays JSON, with one of its values put in another's
    place."""
    chance = random.Random(seed)  # noqa: S311  # no secret
    try:
        body = json.loads(data[1:]) if seed % 2 else None
    except (ValueError, RecursionError):
        body = None
    ways = [place for place in places(body) if place]
    if ways:
        to = chance.choice(ways)
        taken = copy.deepcopy(at(body, chance.choice(ways)))
        at(body, to[:-1])[to[-1]] = taken if chance.random() < 0.5 else chance.choice(ATOMS)
        return (data[:1] + json.dumps(body).encode())[:max_size]
    mutated: bytes = atheris.Mutate(data, max_size)
    return mutated


if __name__ == "__main__":
    atheris.Setup(sys.argv, try_one, custom_mutator=mutate)
    atheris.Fuzz()
