"""Reads with a token, whose answers cost far more than the questions."""

import uuid
from itertools import repeat
from typing import TYPE_CHECKING

from attacks.attack import Attack, State
from attacks.messages import PACKAGE, PREFIX, ROOT, bearer, write, write_json, write_packed

if TYPE_CHECKING:
    from attacks.attacker import Attacker
    from attacks.target import Target

_TEXTS = 9
_DOCUMENTS = 80


class Read(Attack):
    """A stolen maintainer's token on a collector that holds a hundred documents of 900 kB."""

    bound = "answers are paged by bytes, and made off the event loop"
    label = {  # noqa: RUF012
        f"text{number}": {"kind": "Source", "max_length": 100_000} for number in range(_TEXTS)
    }
    connections = 4

    def prepare(self, target: "Target") -> State:
        """See `Attack.prepare`."""
        from shared import Shared, update

        for _ in range(max(1, int(_DOCUMENTS * target.share_of_ground) // 10)):
            shared = Shared(package=PACKAGE, invokes=10)
            documents = shared.documents
            texts = {f"text{number}": {"stringValue": "a" * 100_000} for number in range(_TEXTS)}
            for name in shared.names[2:]:
                documents[name]["fields"]["context"] = {"mapValue": {"fields": texts}}
            target.write([update(name, document) for name, document in documents.items()])
        return {"token": target.create_token(PACKAGE)}

    async def run(self, attacker: "Attacker") -> None:
        """See `Attack.run`."""
        request = self.make(bearer(attacker.state["token"]))
        await attacker.flood(repeat(request), connections=self.connections)

    def make(self, headers: dict[str, str]) -> bytes:
        """Return the request."""
        raise NotImplementedError


class Lists(Read):
    """Pages of a thousand documents."""

    name = "long lists"
    sends = "lists of 1,000 runs, with a token of their package"

    def make(self, headers: dict[str, str]) -> bytes:
        """See `Read.make`."""
        return write("GET", f"{ROOT}/invokes?pageSize=1000", None, headers)


class SortedLists(Read):
    """Pages in an order for which everything has to be read first."""

    name = "long sorted lists"
    sends = "lists of 1,000 runs in the order of their durations, with a token of their package"

    def make(self, headers: dict[str, str]) -> bytes:
        """See `Read.make`."""
        return write(
            "GET", f"{ROOT}/invokes?pageSize=1000&orderBy=duration_ms%20desc", None, headers
        )


class Queries(Read):
    """A query without a limit."""

    name = "long queries"
    sends = "queries for all runs in the order of their durations, with a token of their package"

    def make(self, headers: dict[str, str]) -> bytes:
        """See `Read.make`."""
        order = [{"field": {"fieldPath": "duration_ms"}, "direction": "DESCENDING"}]
        query = {"from": [{"collectionId": "invokes"}], "orderBy": order}
        return write("POST", f"{ROOT}:runQuery", write_json({"structuredQuery": query}), headers)


class Batches(Read):
    """A batchGet of thousands of names."""

    name = "batchGet of 12,000 names"
    sends = "a batchGet of 12,000 names in gzip, with a token of their package"
    bound = "at most 1,000 names, in one statement"
    connections = 1

    def make(self, headers: dict[str, str]) -> bytes:
        """See `Read.make`."""
        base = str(uuid.uuid4())[:-6]
        names = [f"{PREFIX}/invokes/{base}{number:06x}" for number in range(12_000)]
        return write_packed("POST", f"{ROOT}:batchGet", write_json({"documents": names}), headers)


class Filters(Read):
    """A query with as many filters as it may have, of as many values."""

    name = "queries of many filters"
    sends = "queries with 90 filters of 30 values each, in gzip, with a token of their package"
    bound = "few reads at once for a token, off the event loop"

    def make(self, headers: dict[str, str]) -> bytes:
        """See `Read.make`."""
        values = [{"stringValue": f"a{number}"} for number in range(30)]
        field = {"fieldPath": "context.text0"}
        one = {"op": "IN", "field": field, "value": {"arrayValue": {"values": values}}}
        filters = [{"fieldFilter": one} for _ in range(90)]
        query = {
            "from": [{"collectionId": "invokes"}],
            "where": {"compositeFilter": {"op": "OR", "filters": filters}},
        }
        body = write_json({"structuredQuery": query})
        return write_packed("POST", f"{ROOT}:runQuery", body, headers)


ATTACKS = [Lists, SortedLists, Queries, Filters, Batches]
