"""Changes by a maintainer, also beside a running collector, one transaction each."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from typing import Concatenate, NamedTuple, ParamSpec, TypeVar

from sqlalchemy import Connection, delete, select

from plaintally_server.exceptions import CommandError, Refusal
from plaintally_server.firestore.documents import Stored
from plaintally_server.model import (
    Cells,
    Changed,
    Deed,
    ForgetRequest,
    Import,
    Receipt,
    StoredLogin,
    Window,
    Write,
)
from plaintally_server.store import (
    credentials,
    deletion,
    deletion_queue,
    erasure,
    exclusions,
    pull_progress,
    rollups,
    rows,
    schema,
)
from plaintally_server.store.batch import days_asked
from plaintally_server.store.combinations import Staging
from plaintally_server.store.database import (
    PATIENCE_S,
    Database,
    describe,
    exclusively,
    must_exist,
    open_for_reading,
    open_for_writing,
    telling,
)
from plaintally_server.store.reader import SQLReader
from plaintally_server.store.tables import contracts, receipts
from plaintally_server.store.timestamps import from_us, to_us

P = ParamSpec("P")
T = TypeVar("T")


class TakenPage(NamedTuple):
    """The answers to a page of writes, and the numbers of new imports and documents.

    A document is new if it did not exist, or has changed.
    """

    answers: Sequence[Stored | Refusal | None]
    imports: int
    documents: int


class MaintenanceReader(SQLReader):
    """What commands read; the database stays as it is, also one of an older version.

    Raises:
        StartError: The database cannot be opened, or its tables are not a collector's of this
            version.
    """

    def __init__(self, database: Database, *, limit_s: float | None = None) -> None:
        self.database = database
        schema.check(database)
        super().__init__(open_for_reading(database, limit_s=limit_s))

    def forget_requests(self, state: str = "waiting") -> Sequence[ForgetRequest]:
        """The waiting or declined requests without a key: known sessions first, then the oldest."""
        return self._read(deletion_queue.list_requests, state)

    def package_of(self, session_id: str) -> str | None:
        """Return the package of a session; None if it is unknown or ambiguous."""
        return self._read(deletion_queue.package_of, session_id)

    def receipt(self, receipt_hash: str) -> tuple[datetime, int] | None:
        """When the deletion with this receipt was, and of how many documents."""
        with self._reading() as connection:
            query = select(receipts).where(receipts.c.hash == receipt_hash)
            row = connection.execute(query).one_or_none()
            return None if row is None else (from_us(row.deleted_at), row.documents)

    def contracts(self) -> Sequence[tuple[str, bytes, datetime]]:
        """The contracts that were added: package, JSON, and when."""
        with self._reading() as connection:
            found = connection.execute(select(contracts)).all()
            return sorted((row.package, bytes(row.content), from_us(row.added_at)) for row in found)

    def find_login(self, login_hash: bytes) -> StoredLogin | None:
        """See `LoginStore.find_login`."""
        return self._read(credentials.find_login, login_hash)

    def unfinished_walk(self, project: str, collection: str) -> pull_progress.Walk | None:
        """Return the walk through a project's collection that has not come to its end."""
        return self._read(pull_progress.find, project, collection)

    def find_rejected(self, walk: pull_progress.Walk, ids: Collection[bytes]) -> frozenset[bytes]:
        """See `pull_progress.find_rejected`."""
        return self._read(pull_progress.find_rejected, walk, ids)

    def _read(
        self, work: Callable[Concatenate[Connection, P], T], *arguments: P.args, **more: P.kwargs
    ) -> T:
        with self._reading() as connection:
            return work(connection, *arguments, **more)


class Maintenance(MaintenanceReader):
    """The store as commands change it.

    Args:
        database: a file, which is made and brought forward where need be, or an address.
        may_create: whether to make a file that is missing.
        verify: called before each transaction and after each commit; it raises if the database is
            not the one that a collector has open.
        limit_s: how long PostgreSQL may take for a statement; None for as long as it likes.

    Raises:
        StartError: the database cannot be opened, is no store of ours, or `migrate` has to be run.
    """

    def __init__(
        self,
        database: Database,
        *,
        may_create: bool = True,
        verify: Callable[[], None] = lambda: None,
        limit_s: float | None = None,
    ) -> None:
        self._verify = verify
        schema.prepare(database, may_create=may_create)
        super().__init__(database, limit_s=limit_s)
        self._writes = open_for_writing(
            database, timeout_s=PATIENCE_S, may_create=False, limit_s=limit_s
        )
        self._staging = Staging(self._writes)

    def approve(self, session_id: str, *, at: datetime, salt: bytes, actor: str) -> Receipt:
        """Delete a session with all below it; one that was deleted before has the same receipt.

        Raises:
            CommandError: nobody asked for it and there is no such session, or its bytes are in the
                file yet.
        """
        receipt = self._change(deletion.approve, session_id, at=at, salt=salt, actor=actor)
        if receipt is None:
            raise CommandError(
                f"{session_id} has no deletion request and no documents; see `forget list`"
            )
        if not self.erase():
            raise CommandError(
                f"{session_id} is deleted, but something else reads the database; repeat this to "
                "erase it"
            )
        return receipt

    def erase(self) -> bool:
        """Erase the bytes of what was deleted; False if a reader blocks it for too long."""
        with telling(self._failure):
            return erasure.erase(self._writes)

    def rewrite(self) -> bool:
        """Erase even if no deletion is noted; PostgreSQL blocks reads and writes meanwhile."""
        with telling(self._failure):
            return erasure.erase(self._writes, rewrite=True)

    def refuse(self, session_id: str, *, actor: str, at: datetime) -> None:
        """Refuse a request that waits.

        Raises:
            CommandError: there is none.
        """
        with self._changing() as connection:
            if not deletion_queue.refuse(connection, session_id):
                raise CommandError(f"no request to delete {session_id} waits; see `forget list`")
            credentials.note(connection, Deed(at, actor, "refuse to delete", "a session"))

    def refuse_empty(self, *, actor: str, at: datetime) -> int:
        """Drop all requests about no document, in steps, and return how many there were."""
        count = 0
        after: str | None = ""
        deed = Deed(at, actor, "refuse to delete", "all requests about no document")
        self._change(credentials.note, deed)  # first, so that nothing is dropped without it
        while after is not None:
            gone, after = self._change(
                deletion_queue.drop_requests, after, before=at, refused=False
            )
            count += gone
        return count

    def add_contract(self, package: str, content: bytes, *, at: datetime) -> None:
        """Keep the contract of a package, in place of an earlier one."""
        with self._changing() as connection:
            connection.execute(delete(contracts).where(contracts.c.package == package))
            row = {"package": package, "content": content, "added_at": to_us(at)}
            connection.execute(contracts.insert().values(row))

    def add_token(
        self,
        name: str,
        token_hash: bytes,
        packages: frozenset[str] | None,
        *,
        actor: str,
        at: datetime,
    ) -> None:
        """Keep a token by its hash.

        Raises:
            CommandError: there is or was one of this name.
        """
        self._change(credentials.add_token, name, token_hash, packages, actor=actor, at=at)

    def revoke_token(self, name: str, *, actor: str, at: datetime) -> None:
        """Have a token open nothing any more.

        Raises:
            CommandError: there is none of this name that does.
        """
        self._change(credentials.revoke_token, name, actor=actor, at=at)

    def add_login(self, login: StoredLogin) -> None:
        """See `LoginStore.add_login`."""
        self._change(credentials.add_login, login)

    def end_login(self, login_hash: bytes) -> None:
        """See `LoginStore.end_login`."""
        self._change(credentials.end_login, login_hash)

    def strike(
        self,
        package: str,
        first_at: datetime,
        until: datetime,
        *,
        reason: str,
        actor: str,
        at: datetime,
    ) -> Window:
        """Leave what was received in a window out of the figures, and write down who did so.

        Raises:
            CommandError: nothing was received then, or it is no longer here to be counted again
                without the window.
        """
        window = Window(0, package, first_at, until, reason, actor, at)
        return self._change(exclusions.strike, window)

    def take_back(self, number: int, *, actor: str, at: datetime) -> Window:
        """Have what was received in a window count again.

        Raises:
            CommandError: there is no such window, or what it left out is no longer here to be
                counted.
        """
        return self._change(exclusions.take_back, number, actor=actor, at=at)

    def cut_imports(self, day: Changed) -> Changed:
        """See `Rolling.cut_imports`."""
        cut = self.find_cut(day)
        while cut is not None and not cut.is_done:
            self._change(cut.step)
        return day if cut is None else day._replace(stamp=cut.stamp or day.stamp)

    def keep_rollups(self, day: Changed, cells: Mapping[str, Cells]) -> None:
        """Keep the rollups of a day, unless it has changed again."""
        self._change(rollups.put, day, cells)

    def keep_struck_imports(self, package: str, day: date, excluded: int) -> None:
        """See `Rolling.keep_struck_imports`."""
        self._change(rollups.put_struck_imports, package, day, excluded)

    def begin_walk(self, project: str, collection: str, until: datetime) -> pull_progress.Walk:
        """Begin a walk through a project's collection, or return the unfinished one."""
        return self._change(pull_progress.begin, project, collection, until)

    def take_page(
        self,
        walk: pull_progress.Walk,
        writes: Sequence[Write | Import],
        rejected: pull_progress.RejectedImports = pull_progress.NONE_REJECTED,
        *,
        after: str | None,
    ) -> TakenPage:
        """Keep documents, count imports and move a walk in one transaction.

        Raises:
            CommandError: Another process has moved the walk meanwhile, or it has met too many
                rejected imports.
        """
        groups = [[write] for write in writes]
        with telling(self._failure):
            self._staging.prepare(days_asked(groups))
        with self._changing() as connection:
            pull_progress.move(connection, walk, after)
            pull_progress.keep_rejected(connection, walk, rejected, is_last=after is None)
            planned = rows.write(connection, groups)
            deletion.bury_late(connection, planned.late)
            answers = [*map(_unwrap, planned.answers)]  # if it raises, the walk does not move
        self._staging.note(planned.imports)
        return TakenPage(answers, sum(planned.imports.values()), len(planned.puts))

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        self._verify()
        with super()._reading() as connection:
            yield connection

    @contextmanager
    def _changing(self) -> Iterator[Connection]:
        self._verify()
        with telling(self._failure), exclusively(self._writes) as connection:
            yield connection
        self._verify()

    def _change(
        self, work: Callable[Concatenate[Connection, P], T], *arguments: P.args, **more: P.kwargs
    ) -> T:
        with self._changing() as connection:
            return work(connection, *arguments, **more)

    @property
    def _failure(self) -> str:
        return f"cannot write the database {describe(self.database)}"


def _unwrap(answer: Sequence[Stored | None] | Exception) -> Stored | Refusal | None:
    """What came of a group of one."""
    if isinstance(answer, Refusal):
        return answer
    if isinstance(answer, Exception):
        raise answer
    [stored] = answer
    return stored


def open_to_read(database: Database) -> MaintenanceReader:
    """Return the store for a command that only reads.

    Raises:
        StartError, CommandError: There is none, or it cannot be opened.
    """
    must_exist(database)
    return MaintenanceReader(database)


def open_to_change(database: Database) -> Maintenance:
    """Return the store for a command that changes it, migrating an older file.

    Raises:
        StartError, CommandError: There is none, or it cannot be opened.
    """
    must_exist(database)
    schema.check_known(database, may_be_empty=False)
    return Maintenance(database, may_create=False)
