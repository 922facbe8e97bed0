"""Bodies that are short on the wire and expensive to unpack, to read and to store."""

import gzip
from collections.abc import Iterator
from itertools import islice, repeat
from typing import TYPE_CHECKING

from attacks.attack import Attack, State
from attacks.attacker import many_addresses
from attacks.messages import (
    OTHER,
    PACKAGE,
    PREFIX,
    ROOT,
    bearer,
    count_fields,
    join,
    make_ids,
    update,
    write,
    write_commit,
    write_json,
    write_packed,
)

if TYPE_CHECKING:
    from attacks.attacker import Attacker
    from attacks.target import Target

LONG_BYTES = 1_000_000
COMMIT_BYTES = 4_000_000
TOKEN_BYTES = 10_000_000
"""Slightly less than the limits of an unpacked body: document, commit, with a token."""
SHORT_BYTES = 60_000
"""A little less than a collector reads without a thread for it."""


class Body(Attack):
    """Requests with the same body; `make` writes it, of about so many bytes."""

    bound = (
        "unpacked bytes are charged before they are read; 1 MiB without a token, 4 MiB for a commit"
    )
    target = f"{ROOT}/using_{PACKAGE}"
    size = LONG_BYTES
    connections = 2
    from_many = False

    def make(self, size: int) -> bytes:
        """Return the body."""
        raise NotImplementedError

    async def run(self, attacker: "Attacker") -> None:
        """See `Attack.run`."""
        headers = bearer(attacker.state["token"]) if "token" in attacker.state else {}
        request = write_packed("POST", self.target, self.make(self.size), headers)
        addresses = many_addresses() if self.from_many else None
        connections = 1 if len(request) > attacker.seconds * 3000 else self.connections
        await attacker.flood(repeat(request), connections=connections, addresses=addresses)


class Bomb(Body):
    """Gzip of a gigabyte of spaces."""

    name = "gzip bomb"
    sends = "a gigabyte of spaces in gzip, 10 kB of it at a time, and a length that lies"
    bound = "what unpacks to more than the limit is rejected before it is unpacked"

    async def run(self, attacker: "Attacker") -> None:
        """See `Attack.run`."""
        packed = gzip.compress(b" " * 50_000_000, 9)
        bodies = (packed, packed[:-4] + (1000).to_bytes(4, "little"), gzip.compress(packed, 9))
        requests = [
            write("POST", self.target, body, {"Content-Encoding": "gzip"}) for body in bodies
        ]

        def stream() -> Iterator[bytes]:
            while True:
                yield requests[2]
                yield from requests

        await attacker.flood(stream(), connections=4)


class Brackets(Body):
    """Brackets that never close."""

    name = "long bodies of ["
    sends = "1 MB of [[[[ in gzip"

    def make(self, size: int) -> bytes:
        """See `Body.make`."""
        return b"[" * size


class ShortBrackets(Brackets):
    """The same in many requests."""

    name = "short bodies of ["
    sends = "60 kB of [[[[ in gzip, again and again"
    size = SHORT_BYTES
    connections = 8


class ManyValues(Body):
    """As many values as possible: each becomes an object."""

    name = "many small values"
    sends = "a document of 1 MB that is an array of empty maps, in gzip"

    def make(self, size: int) -> bytes:
        """See `Body.make`."""
        values = join(repeat(b'{"mapValue":{}}', size // 16))
        return b'{"fields":{"a":{"arrayValue":{"values":' + values + b"}}}}"


class ManyValuesInCommits(ManyValues):
    """The same in a commit, which may be longer than a document."""

    name = "many small values in commits"
    sends = "a commit of four documents of 1 MB that are arrays of empty maps, in gzip"
    document_bytes = LONG_BYTES
    target = f"{ROOT}:commit"
    size = COMMIT_BYTES

    def make(self, size: int) -> bytes:
        """See `Body.make`."""
        document = super().make(self.document_bytes)
        names = [
            f"{PREFIX}/using_{PACKAGE}/{one}".encode()
            for one in islice(make_ids(), size // self.document_bytes)
        ]
        updates = [b'{"update":{"name":"' + name + b'",' + document[1:] + b"}" for name in names]
        return b'{"writes":' + join(updates) + b"}"


class ManyWrites(Body):
    """A commit of far more writes than a commit may have: they are counted after they were read."""

    name = "commits of many writes"
    sends = "a commit of 4 MB with 230,000 writes, in gzip"
    target = f"{ROOT}:commit"
    size = COMMIT_BYTES

    def make(self, size: int) -> bytes:
        """See `Body.make`."""
        return b'{"writes":' + join(repeat(b'{"delete":"aaaa"}', size // 18)) + b"}"


class ShortManyValues(ManyValues):
    """The same in many requests."""

    name = "many small values, short"
    sends = "a document of 60 kB that is an array of empty maps, in gzip, again and again"
    size = SHORT_BYTES
    connections = 8


class RepeatedKeys(Body):
    """Keys with an escaped colon, which have a strict reader read twice."""

    name = "escaped colons"
    sends = r"1 MB of maps with \u003a in their keys, the last of them twice, in gzip"

    def make(self, size: int) -> bytes:
        """See `Body.make`."""
        value = b'{"mapValue":{"fields":{"\\u003a":{"nullValue":null}}}}'
        twice = value.replace(b"}}}}", b'},"\\u003a":{"nullValue":null}}}}')
        values = join([*repeat(value, size // len(value)), twice])
        return b'{"fields":{"a":{"arrayValue":{"values":' + values + b"}}}}"


class ShortRepeatedKeys(RepeatedKeys):
    """The same in many requests."""

    name = "escaped colons, short"
    sends = r"60 kB of maps with \u003a in their keys, in gzip, again and again"
    size = SHORT_BYTES
    connections = 8


class Digits(Body):
    """Numbers of many digits."""

    name = "many digits"
    sends = "1 MB of numbers of 399 digits, in gzip"

    def make(self, size: int) -> bytes:
        """See `Body.make`."""
        value = b'{"doubleValue":' + b"7" * 399 + b"}"
        values = join(repeat(value, size // (len(value) + 1)))
        return b'{"fields":{"a":{"arrayValue":{"values":' + values + b"}}}}"


class LongNumber(Body):
    """One integer of a million digits, as a text: Firestore's integers are texts."""

    name = "one long integer"
    sends = "an integerValue of 900,000 digits, in gzip"
    size = 900_000

    def make(self, size: int) -> bytes:
        """See `Body.make`."""
        return b'{"fields":{"a":{"integerValue":"' + b"7" * size + b'"}}}'


class Nesting(Body):
    """Values that are as deep as they may be, as many as fit."""

    name = "deep nesting"
    sends = "1 MB of maps that are 20 levels deep, in gzip"

    def make(self, size: int) -> bytes:
        """See `Body.make`."""
        value = b'{"nullValue":null}'
        for _ in range(18):
            value = b'{"mapValue":{"fields":{"a":' + value + b"}}}"
        values = join(repeat(value, size // len(value)))
        return b'{"fields":{"a":{"arrayValue":{"values":' + values + b"}}}}"


class Times(Body):
    """Timestamps, each of which is parsed by a regular expression and a calendar."""

    name = "many timestamps"
    sends = "a document of 1 MB that is an array of timestamps, in gzip"

    def make(self, size: int) -> bytes:
        """See `Body.make`."""
        value = b'{"timestampValue":"2026-11-23T20:00:00.123456789+01:00"}'
        values = join(repeat(value, size // len(value)))
        return b'{"fields":{"a":{"arrayValue":{"values":' + values + b"}}}}"


class FromMany(ManyValuesInCommits):
    """The same from an address of its own for each request."""

    name = "many small values, many addresses"
    sends = "commits of four documents of 1 MB that are arrays of empty maps, from many addresses"
    bound = "few long bodies are read at once, into what is declared and nothing else"
    from_many = True


class BigCommits(Attack):
    """Commits of 500 documents of 8 kB each, which are stored."""

    name = "commits of 4 MB"
    sends = "commits in gzip of 500 runs with texts of 7 kB, which are stored"
    bound = "documents and unpacked bytes are charged before they are stored"

    async def run(self, attacker: "Attacker") -> None:
        """See `Attack.run`."""
        from shared import Shared

        def requests() -> Iterator[bytes]:
            while True:
                ids = list(islice(make_ids(), 500))
                shared = Shared(package=PACKAGE, invokes=500, invoke_ids=ids)
                text = {"source": {"stringValue": "a" * 7_000}}
                writes = []
                for index, one in enumerate(shared.invoke_ids):
                    fields: State = dict(shared.invoke_document(index)["fields"])
                    fields["context"] = {"mapValue": {"fields": text}}
                    writes.append(update(f"invokes/{one}", {"fields": fields}))
                yield write_packed("POST", f"{ROOT}:commit", write_json({"writes": writes}))

        await attacker.flood(requests(), connections=2)


class SmallCommits(Attack):
    """Counts whose IDs follow each other: they pack to nothing."""

    name = "commits of 500 counts"
    sends = "commits in gzip of 500 counts"
    bound = "each write of a commit is charged before it is done"

    async def run(self, attacker: "Attacker") -> None:
        """See `Attack.run`."""
        await attacker.flood(write_counts() for _ in repeat(0))


class FailingCommits(Attack):
    """Commits whose last write cannot be: all others are planned for nothing."""

    name = "commits that fail"
    sends = "commits in gzip of 499 counts, and one that may not be"
    bound = "a commit is charged before it is planned, whatever becomes of it"

    async def run(self, attacker: "Attacker") -> None:
        """See `Attack.run`."""
        await attacker.flood(self.make() for _ in repeat(0))

    def make(self) -> bytes:
        """Return a request."""
        ids = list(islice(make_ids(), 500))
        writes = [
            update(f"using_{PACKAGE}/{one}", {"fields": count_fields(one)}) for one in ids[1:]
        ]
        return write_commit([*writes, update(f"using_{PACKAGE}/{ids[0]}", {"fields": {}})])


class FailingBatches(FailingCommits):
    """Batches of writes that each fail by themselves."""

    name = "batches that fail"
    sends = "batchWrites in gzip of 500 counts without a time"
    bound = "each write of a batch is charged before it is planned, whatever becomes of it"

    def make(self) -> bytes:
        """See `FailingCommits.make`."""
        ids = islice(make_ids(), 500)
        writes = [
            update(f"using_{PACKAGE}/{one}", {"fields": {"id": {"stringValue": one}}})
            for one in ids
        ]
        return write_packed("POST", f"{ROOT}:batchWrite", write_json({"writes": writes}))


class WithToken(ManyValuesInCommits):
    """A token of another package lifts no bound but that on what may be asked."""

    name = "many small values, with a token"
    sends = (
        "commits of two documents of 4 MB that are arrays of empty maps, with the token of another "
        "package"
    )
    document_bytes = COMMIT_BYTES
    bound = "typed decoding of what is declared; one long body per client at a time"
    size = TOKEN_BYTES

    def prepare(self, target: "Target") -> State:
        """See `Attack.prepare`."""
        return {"token": target.create_token(OTHER)}


def write_counts() -> bytes:
    """Return a commit in gzip of 500 new counts."""
    ids = islice(make_ids(), 500)
    return write_commit(
        [update(f"using_{PACKAGE}/{one}", {"fields": count_fields(one)}) for one in ids]
    )


ATTACKS = [
    Bomb,
    Brackets,
    ShortBrackets,
    ManyValues,
    ManyValuesInCommits,
    ManyWrites,
    ShortManyValues,
    RepeatedKeys,
    ShortRepeatedKeys,
    Digits,
    LongNumber,
    Nesting,
    Times,
    FromMany,
    BigCommits,
    SmallCommits,
    FailingCommits,
    FailingBatches,
    WithToken,
]
