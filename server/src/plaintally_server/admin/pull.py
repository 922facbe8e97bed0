"""Copy a Firestore project into the database.

A collection is read in the order of its documents' names, since Firestore cannot be asked what is
new. How far a walk has come is kept in the transaction that takes in a page (see `store.walks`), so
a walk that was interrupted goes on there and nothing is counted twice or lost.

Imports are counted once by the time at which the project created them: a walk counts those that
were created since the last complete walk began, and before it began itself. Of the older ones it
counts those that the contract rejected before and admits now. Of sessions every document is read
again, since it may have changed, except those that an earlier walk has seen and that have expired
here meanwhile.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from rich.progress import Progress

from plaintally.contract import Contract
from plaintally_server.api.prepare import make_import
from plaintally_server.auth.permissions import Access
from plaintally_server.exceptions import Refusal
from plaintally_server.firestore.client import Project, RemoteDocument
from plaintally_server.firestore.documents import Name, Precondition
from plaintally_server.firestore.writes import Change
from plaintally_server.ingest import admission, rxinfer
from plaintally_server.ingest.collections import COUNTER_PREFIX, INVOKES, SESSIONS, STATS, is_import
from plaintally_server.ingest.imports import hash_import
from plaintally_server.ingest.shared_fields import parent_of
from plaintally_server.model import Write
from plaintally_server.store.batch import Forgotten
from plaintally_server.store.maintenance import Maintenance
from plaintally_server.store.pull_progress import RejectedImports, Walk
from plaintally_server.store.timestamps import from_us, to_us

PAGE = 100
_PREFIX = "Missing or insufficient permissions: "


class Outcome:
    """What came of a pull.

    Attributes:
        read, new, deleted: numbers of documents: looked at, here for the first time or changed,
            deleted in the project.
        refused: by collection and reason.
        forgotten: how many of sessions that were deleted here are in the project yet.
    """

    def __init__(self) -> None:
        self.read = self.new = self.deleted = self.forgotten = 0
        self.refused: Counter[tuple[str, str]] = Counter()

    def lines(self) -> Iterator[str]:
        """The outcome in words."""
        yield f"Looked at {self.read} documents; {self.new} of them are new or changed."
        if self.refused:
            yield f"Refused, and left in place: {self.refused.total()}."
        for (collection, reason), number in sorted(self.refused.items()):
            yield f"  {number} in {collection}: {reason}"
        if self.deleted:
            yield f"Deleted {self.deleted} in the project."
        if self.forgotten:
            yield (
                f"Of sessions deleted here, {self.forgotten} are there yet; --delete-forgotten "
                "deletes them."
            )


class Pull:
    """One pass through a Firestore project.

    Args:
        project: the Firestore project.
        store: the database.
        contracts: by package its contract.
        delete: whether what was copied is deleted in the project.
        delete_forgotten: whether what belongs to sessions that were deleted here is deleted there.
        now: the time.
    """

    def __init__(
        self,
        project: Project,
        store: Maintenance,
        contracts: Mapping[str, Contract],
        *,
        delete: bool,
        delete_forgotten: bool,
        now: datetime,
    ) -> None:
        self.project = project
        self.store = store
        self.contracts = contracts
        self.delete = delete
        self.delete_forgotten = delete_forgotten
        self._access = Access(None, admission.Policy(contracts))
        self._gone_until = store.purged_until(now)
        self.outcome = Outcome()

    def run(self, progress: Progress) -> Outcome:
        """Copy all collections, and erase the bytes of what the copy deleted or replaced."""
        for collection in self.collections:
            self.walk(collection, progress)
        self.store.erase()
        return self.outcome

    @property
    def collections(self) -> Sequence[str]:
        """The collections, parents first, so that deletions are known below."""
        counters = (f"{COUNTER_PREFIX}{package}" for package in sorted(self.contracts))
        return (*counters, SESSIONS, STATS, INVOKES)

    def walk(self, collection: str, progress: Progress) -> None:
        """Copy a collection to its end, from its beginning or where the last walk was interrupted.

        Raises:
            CommandError: the project or the database cannot be used, or another pull is running.
        """
        walk = self.store.unfinished_walk(self.project.name, collection)
        counted = self.project.count(collection, after=walk.after if walk else None)
        walk = walk or self.store.begin_walk(self.project.name, collection, counted.at)
        task = progress.add_task(collection, total=counted.documents)
        take = self._count_page if is_import(collection) else self._copy_page
        while True:
            page = self.project.page(collection, after=walk.after, size=PAGE)
            after = page[-1].id if len(page) == PAGE else None
            leaving = take(walk, page, after)
            self.outcome.read += len(page)
            self.outcome.deleted += self.project.delete(collection, leaving)
            progress.advance(task, len(page))
            if after is None:
                return
            walk = walk._replace(after=after)

    def _count_page(
        self, walk: Walk, page: Sequence[RemoteDocument], after: str | None
    ) -> Sequence[RemoteDocument]:
        """Count the imports of a page; return those that may be deleted in the project."""
        imports = []
        leaving = []
        rejected = []
        reason = ""
        ids = [hash_import(walk.collection, document.id) for document in page]
        known = self.store.find_rejected(walk, ids)
        for id_, document in zip(ids, page, strict=True):
            if to_us(document.create_time) >= to_us(walk.until):  # the next walk counts it
                continue
            is_uncounted = walk.holds(document.create_time) or id_ in known
            try:
                admitted = admission.admit(
                    self._name(walk.collection, document), document.fields, self._access.policy
                )
            except Refusal as refusal:
                reason = self._note(walk.collection, refusal)
                rejected += [id_] if is_uncounted else []
                continue
            leaving.append(document)
            if is_uncounted:
                imports.append(make_import(admitted, document.create_time, must_be_new=False))
        uncounted = RejectedImports(known, rejected, reason)
        self.outcome.new += self.store.take_page(walk, imports, uncounted, after=after).imports
        return leaving if self.delete else []

    def _copy_page(
        self, walk: Walk, page: Sequence[RemoteDocument], after: str | None
    ) -> Sequence[RemoteDocument]:
        """Copy the shared documents of a page; return those that may be deleted in the project."""
        gone = [
            one
            for one in page
            if one.create_time
            < min(walk.since, self._gone_until.get(self._package(one), from_us(0)))
        ]
        incoming = [one for one in page if one not in gone]
        writes = [self._write(walk.collection, one) for one in incoming]
        taken = self.store.take_page(walk, writes, after=after)
        self.outcome.new += taken.documents
        leaving = gone if self.delete else []
        for one, answer in zip(incoming, taken.answers, strict=True):
            if not isinstance(answer, Refusal):
                leaving += [one] if self.delete else []
            elif isinstance(answer, Forgotten):
                self.outcome.forgotten += not self.delete_forgotten
                leaving += [one] if self.delete_forgotten else []
            else:
                self._note(walk.collection, answer)
        return leaving

    def _write(self, collection: str, document: RemoteDocument) -> Write:
        """Return the write of a document, as of the time at which the project received it."""
        change = Change(self._name(collection, document), document.fields, None, Precondition())
        return Write(
            change.name,
            change.precondition,
            change,
            document.create_time,
            changed_at=document.update_time,
            parent=parent_of(collection, document.fields),
            by=self._access,
        )

    def _note(self, collection: str, refusal: Refusal) -> str:
        """Count a rejected document by its reason; return the reason."""
        reason = refusal.message.removeprefix(_PREFIX)
        self.outcome.refused[collection, reason] += 1
        return reason

    def _package(self, document: RemoteDocument) -> str:
        package = document.fields.get("package", rxinfer.find_package(self.contracts))
        return package if isinstance(package, str) else ""

    def _name(self, collection: str, document: RemoteDocument) -> Name:
        return Name(self.project.name, "(default)", collection, document.id)
