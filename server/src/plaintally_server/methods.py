"""The methods of a whole database: `documents:commit`, `:batchWrite`, `:batchGet` and `:runQuery`.

Each takes a call and returns the answer.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from starlette.concurrency import run_in_threadpool

from plaintally.firestore import format_timestamp
from plaintally_server import queries
from plaintally_server.access import Access
from plaintally_server.commits import Change, parse_batch, parse_commit
from plaintally_server.exceptions import CODES, Refusal
from plaintally_server.filters import Found
from plaintally_server.ingest import Policy
from plaintally_server.lookups import parse_batch_get
from plaintally_server.messages import Answer, answer_json
from plaintally_server.parsing import Parsing
from plaintally_server.queries import Query
from plaintally_server.resource import Method, Name, Stored, write_document
from plaintally_server.store import Store
from plaintally_server.writes import as_reported, prepare


class Call(NamedTuple):
    """A call of a method.

    `charge` is told how many documents it writes, and raises a Refusal where its client has to wait.
    """

    method: Method
    body: bytes
    access: Access
    charge: Callable[[int], None]


_Work = Callable[[Call], Awaitable[Answer]]


class Methods:
    """The methods, by their names in a path.

    Args:
        store: where documents are kept.
        policy: what may be stored.
        parsing: has long bodies read.
        now: the clock, aware.
    """

    def __init__(self, store: Store, *, policy: Policy, parsing: Parsing, now: Callable[[], datetime]) -> None:
        self.store, self.policy, self.parsing, self.now = store, policy, parsing, now
        self._by_verb: dict[str, _Work] = {
            "commit": self.commit,
            "batchWrite": self.batch_write,
            "batchGet": self.batch_get,
            "runQuery": self.run_query,
        }

    def find(self, verb: str) -> _Work | None:
        """The method of this name."""
        return self._by_verb.get(verb)

    async def commit(self, call: Call) -> Answer:
        """Write several documents, all or none, in their order."""
        method, body, access, charge = call
        changes = await self.parsing.run(parse_commit, body, project=method.project)
        now = self.now()
        writes = [prepare(change, access, now) for change in changes]
        charge(len(changes))
        stored = await self.store.commit(writes)
        results = [_result(one, change, access, now) for one, change in zip(stored, changes, strict=True)]
        return answer_json({"writeResults": results, "commitTime": format_timestamp(now)})

    async def batch_write(self, call: Call) -> Answer:
        """Write several documents, each for itself, with a status for each."""
        method, body, access, charge = call
        changes = await self.parsing.run(parse_batch, body, project=method.project)
        charge(len(changes))
        now = self.now()
        outcomes = await asyncio.gather(*(self._write_one(change, access, now) for change in changes))
        content = {
            "writeResults": [
                {} if isinstance(one, Refusal) else _result(one, change, access, now)
                for one, change in zip(outcomes, changes, strict=True)
            ],
            "status": [_status(one) if isinstance(one, Refusal) else {} for one in outcomes],
        }
        return answer_json(content)

    async def batch_get(self, call: Call) -> Answer:
        """Read several documents by their names."""
        method, body, access, _ = call
        access.check_any()
        names, mask = await self.parsing.run(parse_batch_get, body, project=method.project)
        access.check(name.collection for name in names)
        found = await run_in_threadpool(self.store.get_all, names)
        read_time = format_timestamp(self.now())
        content = [
            {"missing": str(name), "readTime": read_time}
            if stored is None or not access.sees(name.collection, stored.fields)
            else {"found": write_document(name, stored, mask), "readTime": read_time}
            for name, stored in zip(names, found, strict=True)
        ]
        return answer_json(content)

    async def run_query(self, call: Call) -> Answer:
        """Read the documents of a collection that answer a query; where none does, one element tells the time."""
        method, body, access, _ = call
        access.check_any()
        query = await self.parsing.run(queries.parse_query, body)
        access.check([query.collection])
        found = await find(self.store, query, Name(method.project, method.database, query.collection), access)
        read_time = format_timestamp(self.now())
        documents = [write_document(name, stored, query.select) for name, stored in found]
        content = [{"document": document, "readTime": read_time} for document in documents]
        return answer_json(content or [{"readTime": read_time}])

    async def _write_one(self, change: Change, access: Access, now: datetime) -> Stored | Refusal | None:
        try:
            [stored] = await self.store.commit([prepare(change, access, now)])
        except Refusal as refusal:
            self.policy.note(refusal)
            return refusal
        return stored


async def find(
    store: Store, query: Query, collection: Name, access: Access, *, after: str | None = None
) -> Sequence[Found]:
    """The documents of those that may be seen that answer a query of a collection.

    The walk in the order of names begins behind an id.
    """

    def work(rows: Iterator[tuple[str, Stored]]) -> Sequence[Found]:
        seen = (row for row in rows if access.sees(query.collection, row[1].fields))
        return queries.run(query, (Found(collection._replace(document=document), stored) for document, stored in seen))

    return await run_in_threadpool(store.scan, query.collection, work, after=after, descending=query.backwards)


def _result(stored: Stored | None, change: Change, access: Access, now: datetime) -> dict[str, Any]:
    if stored is None:
        return {}
    return {"updateTime": format_timestamp(as_reported(stored, change, access, now).update_time)}


def _status(refusal: Refusal) -> dict[str, Any]:
    """A refusal as one write's status."""
    return {"code": CODES[refusal.status], "message": refusal.message}
