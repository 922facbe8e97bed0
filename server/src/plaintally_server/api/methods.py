"""The methods of a whole database: `documents:commit`, `:batchWrite`, `:batchGet` and `:runQuery`.

Each takes a call and returns the answer.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, NamedTuple

from plaintally.firestore import format_timestamp
from plaintally_server.api.prepare import as_reported, prepare
from plaintally_server.api.reads import Reads, too_large
from plaintally_server.auth.permissions import Access
from plaintally_server.exceptions import CODES, Refusal
from plaintally_server.firestore import queries
from plaintally_server.firestore.bodies import ANONYMOUS_BYTES, DOCUMENT_BYTES
from plaintally_server.firestore.documents import Method, Name, Stored
from plaintally_server.firestore.reads import parse_batch_get
from plaintally_server.firestore.writes import Change, parse_batch, parse_commit
from plaintally_server.http.models import JSON, Answer, answer_json, encode_json
from plaintally_server.http.parse_pool import Parsing
from plaintally_server.ingest.admission import Policy
from plaintally_server.store.protocols import Store


class Call(NamedTuple):
    """A call of a method.

    `charge` is told how many documents it writes, and raises a Refusal where its client has to
    wait.
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
        reads: has documents read.
        now: the clock, aware.
    """

    def __init__(
        self,
        store: Store,
        *,
        policy: Policy,
        parsing: Parsing,
        reads: Reads,
        now: Callable[[], datetime],
    ) -> None:
        self.store = store
        self.policy = policy
        self.parsing = parsing
        self.reads = reads
        self.now = now
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
        _, _, access, charge = call
        changes = await self._parse(parse_commit, call)
        now = self.now()
        writes = [prepare(change, access, now) for change in changes]
        charge(len(changes))
        stored = await self.store.commit(writes)
        results = [
            _result(one, change, access, now) for one, change in zip(stored, changes, strict=True)
        ]
        return answer_json({"writeResults": results, "commitTime": format_timestamp(now)})

    async def batch_write(self, call: Call) -> Answer:
        """Write several documents, each for itself, with a status for each."""
        _, _, access, charge = call
        changes = await self._parse(parse_batch, call)
        charge(len(changes))
        now = self.now()
        outcomes = await asyncio.gather(
            *(self._write_one(change, access, now) for change in changes)
        )
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
        access.check_reads({name.collection for name in names})
        found = await self.reads.get_all(names, access, mask)
        time = format_timestamp(self.now()).encode()
        content = [
            b'{"missing":%b,"readTime":"%b"}' % (encode_json(str(one.name)), time)
            if one.content is None
            else b'{"found":%b,"readTime":"%b"}' % (one.content, time)
            for one in found
        ]
        return Answer(200, b"[%b]" % b",".join(content), JSON)

    async def run_query(self, call: Call) -> Answer:
        """Read the documents that answer a query; if none does, return the time of reading."""
        method, body, access, _ = call
        access.check_any()
        query = await self.parsing.run(queries.parse_query, body)
        access.check_reads([query.collection])
        name = Name(method.project, method.database, query.collection)
        found, is_cut = await self.reads.find(query, name, access, query.select)
        if is_cut:
            raise too_large()
        time = format_timestamp(self.now()).encode()
        content = [b'{"document":%b,"readTime":"%b"}' % (item.content, time) for item in found]
        return Answer(200, b"[%b]" % b",".join(content or [b'{"readTime":"%b"}' % time]), JSON)

    async def _parse(self, parse: Callable[..., list[Change]], call: Call) -> list[Change]:
        document_bytes = ANONYMOUS_BYTES if call.access.scope is None else DOCUMENT_BYTES
        return await self.parsing.run(
            parse, call.body, project=call.method.project, document_bytes=document_bytes
        )

    async def _write_one(
        self, change: Change, access: Access, now: datetime
    ) -> Stored | Refusal | None:
        try:
            [stored] = await self.store.commit([prepare(change, access, now)])
        except Refusal as refusal:
            self.policy.note(refusal)
            return refusal
        return stored


def _result(stored: Stored | None, change: Change, access: Access, now: datetime) -> dict[str, Any]:
    if stored is None:
        return {}
    return {"updateTime": format_timestamp(as_reported(stored, change, access, now).update_time)}


def _status(refusal: Refusal) -> dict[str, Any]:
    """A refusal as one write's status."""
    return {"code": CODES[refusal.status], "message": refusal.message}
