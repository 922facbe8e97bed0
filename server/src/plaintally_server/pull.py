"""`plaintally-server pull`: copies what packages counted and shared in a Firestore project into the local database.

A collection is walked in the order of its documents' names, since names are all that Firestore keeps in an order nobody
can choose: it cannot be asked what is new. What is here already is left as it is. How far a walk has come is kept after
each page, behind its documents, so that a walk that was interrupted goes on there, and one page at most is read twice.

What an earlier walk has seen may be over its time by now and gone from here; it is not counted again.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from plaintally.contract import Contract
from plaintally_server import dialects, ingest
from plaintally_server.exceptions import Refusal
from plaintally_server.fieldpaths import Fields
from plaintally_server.options import collect_contracts, on_config, on_contracts, on_database, on_packages, setting
from plaintally_server.remote import Project, RemoteDocument
from plaintally_server.resource import Name, Precondition, check_id
from plaintally_server.store import Write, schema
from plaintally_server.store.batch import Forgotten
from plaintally_server.store.database import Database
from plaintally_server.store.maintenance import Maintenance
from plaintally_server.terminal import echo

PAGE = 100
EARLIEST = datetime.min.replace(tzinfo=UTC)
_PREFIX = "Missing or insufficient permissions: "


class Outcome:
    """What came of a pull.

    Attributes:
        read, new, deleted: numbers of documents: looked at, here for the first time or changed, deleted in the project.
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
            yield f"Of sessions deleted here, {self.forgotten} are there yet; --delete-forgotten deletes them."


class Incoming:
    """A document on its way into the store; `is_new` tells, when it is there, whether it changed anything."""

    def __init__(self, name: Name, document: RemoteDocument, contracts: Mapping[str, Contract]) -> None:
        self.name, self.document, self.contracts = name, document, contracts
        self.is_new = False

    @property
    def write(self) -> Write:
        """What the store is asked; its day is that on which the project received it."""
        return Write(
            self.name,
            Precondition(),
            self._settle,
            self.document.create_time,
            changed_at=self.document.update_time,
            parent=ingest.parent_of(self.name.collection, self.document.fields),
        )

    def _settle(self, current: Fields | None) -> ingest.Admitted:
        admitted = ingest.admit(self.name, self.document.fields, ingest.Policy(self.contracts), current=current)
        self.is_new = current is None or current != admitted.fields
        return admitted


class Pull:
    """One run of the command; `delete` and `delete_forgotten` say what is deleted in the project, `now` when it is."""

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
        self.project, self.store, self.contracts = project, store, contracts
        self.delete, self.delete_forgotten, self.now = delete, delete_forgotten, now
        self._gone_until = store.purged_until(now)
        self.outcome = Outcome()

    @property
    def collections(self) -> Sequence[str]:
        """The collections, parents before what belongs to them, so that what was deleted is known below."""
        counters = (f"{ingest.COUNTER_PREFIX}{package}" for package in sorted(self.contracts))
        return (*counters, ingest.SESSIONS, ingest.STATS, ingest.INVOKES)

    def walk(self, collection: str, progress: Progress) -> None:
        """Copy a collection from where the last walk was interrupted, or from its beginning, to its end.

        Raises:
            CommandError: the project or the database cannot be used.
        """
        after = self.store.pulled_until(self.project.name, collection)
        seen_until = self.store.seen_until(self.project.name, collection)
        if after is None:
            self.store.begin_walk(self.project.name, collection, self.now)
        task = progress.add_task(collection, total=self.project.count(collection, after=after))
        while True:
            page = self.project.page(collection, after=after, size=PAGE)
            self._copy(collection, page, seen_until=seen_until or EARLIEST)
            after = page[-1].id if len(page) == PAGE else None
            self.store.note_pulled(self.project.name, collection, after)
            progress.advance(task, len(page))
            if after is None:
                return

    def _copy(self, collection: str, page: Sequence[RemoteDocument], *, seen_until: datetime) -> None:
        gone = [
            one
            for one in page
            if one.create_time < min(seen_until, self._gone_until.get(self._package(collection, one), EARLIEST))
        ]
        incoming = [Incoming(self._name(collection, one), one, self.contracts) for one in page if one not in gone]
        answers = self.store.take([one.write for one in incoming])
        self.outcome.read += len(page)
        leaving = gone if self.delete else []
        for one, answer in zip(incoming, answers, strict=True):
            if not isinstance(answer, Refusal):
                self.outcome.new += one.is_new
                leaving += [one.document] if self.delete else []
            elif isinstance(answer, Forgotten):
                self.outcome.forgotten += not self.delete_forgotten
                leaving += [one.document] if self.delete_forgotten else []
            else:
                self.outcome.refused[collection, answer.message.removeprefix(_PREFIX)] += 1
        self.outcome.deleted += self.project.delete(collection, leaving)

    def _package(self, collection: str, document: RemoteDocument) -> str:
        if collection.startswith(ingest.COUNTER_PREFIX):
            return collection.removeprefix(ingest.COUNTER_PREFIX)
        package = document.fields.get("package", dialects.find_package(self.contracts))
        return package if isinstance(package, str) else ""

    def _name(self, collection: str, document: RemoteDocument) -> Name:
        return Name(self.project.name, "(default)", collection, document.id)


def _read_project(_: click.Context, __: click.Parameter, text: str) -> str:
    try:
        return check_id(text, "project")
    except Refusal as refusal:
        raise click.BadParameter(refusal.message) from refusal


@click.command()
@on_config
@setting("project", required=True, callback=_read_project, help="The id of the Firestore project.")
@setting(
    "credentials",
    type=click.Path(path_type=Path),
    show_default="those of the machine, as Google's tools leave them",
    help="Key of a service account, as JSON.",
)
@on_packages
@on_contracts
@on_database
@click.option("--delete", is_flag=True, help="Delete in the project what was copied, and --delete-forgotten.")
@click.option("--delete-forgotten", is_flag=True, help="Delete there what belongs to sessions that were deleted here.")
def pull(
    *,
    project: str,
    credentials: Path | None,
    packages: tuple[str, ...],
    contracts: tuple[Path, ...],
    database: Database,
    delete: bool,
    delete_forgotten: bool,
) -> None:
    """Copy counts and shared sessions out of a Firestore project.

    It can be interrupted and repeated: what was copied is kept, and counted once.
    """
    schema.prepare_existing(database)
    collected = collect_contracts(database, contracts, packages)
    if not collected:
        raise click.UsageError(
            "Nothing to copy: name a package with --package NAME, or add one with `plaintally-server contract add`."
        )
    opened = Project(project, credentials=credentials)
    store = Maintenance(database)
    now = datetime.now(UTC)
    work = Pull(opened, store, collected, delete=delete, delete_forgotten=delete or delete_forgotten, now=now)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        for collection in work.collections:
            work.walk(collection, progress)
    opened.close()
    store.erase()
    for line in work.outcome.lines():
        echo(line)
