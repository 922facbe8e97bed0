"""Reads documents for answers, so that no answer holds up other requests or fills the memory.

Documents are read, filtered and encoded in threads. Few reads run at once and one per reader (a
token; all requests without a token share one), so a maintainer of one package cannot occupy all
threads. An answer has at most ANSWER_BYTES of documents, or one document; a list then ends its page
early, and everything else is rejected. A read that takes too long is rejected, too, since there are
no indexes for queries.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, TypeVar

from starlette.concurrency import run_in_threadpool

from plaintally_server.auth.permissions import Access
from plaintally_server.exceptions import Refusal, invalid, unavailable
from plaintally_server.firestore.documents import Name, Stored, join_document
from plaintally_server.firestore.field_paths import FieldPath, project
from plaintally_server.firestore.filters import Found
from plaintally_server.firestore.queries import Query
from plaintally_server.firestore.query_results import Item, run
from plaintally_server.store.content import write_fields
from plaintally_server.store.protocols import Store

T = TypeVar("T")
Mask = Sequence[FieldPath] | None
ANSWER_BYTES = 4 * 2**20
AT_ONCE = 2
PATIENCE_S = 10.0
"""How long a read may take, and how long it may wait for its turn."""


class Got(NamedTuple):
    """A document that was asked for by name, as JSON; None if it is missing."""

    name: Name
    content: bytes | None


class Reads:
    """The reads of one collector.

    Args:
        store: where documents are kept.
        clock_s: a clock that never goes back, in seconds.
    """

    def __init__(self, store: Store, *, clock_s: Callable[[], float]) -> None:
        self.store = store
        self.clock_s = clock_s
        self._room = asyncio.Semaphore(AT_ONCE)
        # By the name of a reader's token.
        self._own: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def get(self, name: Name, access: Access, mask: Mask) -> bytes | None:
        """Return a document as JSON; None if it is missing or the reader may not see it."""
        [got] = await self.get_all([name], access, mask)
        return got.content

    async def get_all(self, names: Sequence[Name], access: Access, mask: Mask) -> Sequence[Got]:
        """Return several documents in the order of their names.

        Raises:
            Refusal: they are too large for one answer, or reading takes too long.
        """

        def write(rows: Iterator[tuple[Name, Stored | None]]) -> Sequence[Got]:
            got = []
            size = 0
            for name, stored in rows:
                sees = stored is not None and access.sees(name.collection, stored.fields)
                content = (
                    encode_document(name, stored, mask) if stored is not None and sees else None
                )
                size += len(content or b"")
                if size > ANSWER_BYTES and len(names) > 1:
                    raise too_large()
                got.append(Got(name, content))
            return got

        return await self._run(
            access,
            lambda until_s: self.store.read_all(
                names, lambda rows: write(self._until(until_s, rows))
            ),
        )

    async def find(
        self,
        query: Query,
        collection: Name,
        access: Access,
        mask: Mask,
        *,
        after: str | None = None,
    ) -> tuple[Sequence[Item], bool]:
        """Return the visible documents that answer a query, and whether the answer was cut.

        The walk in the order of names begins after an id.

        Raises:
            Refusal: reading takes too long.
        """

        def pick(rows: Iterable[tuple[str, Stored]]) -> tuple[Sequence[Item], bool]:
            seen = (row for row in rows if access.sees(query.collection, row[1].fields))
            found = (
                Found(collection._replace(document=document), stored) for document, stored in seen
            )
            return run(query, found, lambda one: encode_document(*one, mask), room=ANSWER_BYTES)

        return await self._run(
            access,
            lambda until_s: self.store.scan(
                query.collection,
                lambda rows: pick(self._until(until_s, rows)),
                after=after,
                descending=query.backwards,
            ),
        )

    async def _run(self, access: Access, read: Callable[[float], T]) -> T:
        """Run a read in a thread, in its turn; it is given the time at which it has to end."""
        own = self._own["" if access.scope is None else access.scope.name]
        try:
            async with asyncio.timeout(PATIENCE_S):
                await own.acquire()
        except TimeoutError:
            raise _busy() from None
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self._room.acquire()
            try:
                return await run_in_threadpool(read, self.clock_s() + PATIENCE_S)
            finally:
                self._room.release()
        except TimeoutError:
            raise _busy() from None
        finally:
            own.release()

    def _until(self, until_s: float, rows: Iterator[T]) -> Iterator[T]:
        """Pass rows on until a moment.

        Raises:
            Refusal: there are more then.
        """
        for row in rows:
            if self.clock_s() > until_s:
                raise Refusal(
                    400,
                    "FAILED_PRECONDITION",
                    f"The query takes longer than {PATIENCE_S:.0f} s. Narrow it, or list the "
                    "collection page by page.",
                )
            yield row


def encode_document(name: Name, stored: Stored, mask: Mask) -> bytes:
    """Return a document as JSON; with a mask, the fields that it names."""
    return join_document(name, write_fields(project(stored.fields, mask)), stored)


def too_large() -> Refusal:
    """Return the refusal of an answer that would be too large."""
    return invalid(
        f"The documents have more than {ANSWER_BYTES} bytes. Set a limit, or ask for fewer "
        "documents or fields at once."
    )


def _busy() -> Refusal:
    return unavailable("Too many reads wait; try again in a moment.")
