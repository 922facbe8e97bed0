"""What a maintainer does to the file, also while a collector runs on it: a connection for each change."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path

from plaintally_server.deletion import ForgetRequest, Receipt
from plaintally_server.exceptions import CommandError, Refusal
from plaintally_server.resource import Stored
from plaintally_server.store import Write, deletion, documents, erasure
from plaintally_server.store.schema import open_for_writing
from plaintally_server.store.sqlite import SQLiteReader
from plaintally_server.store.times import from_us, to_us

_TIMEOUT_S = 30


class Maintenance(SQLiteReader):
    """The store as the commands use it.

    Args:
        path: the file; it is made where there is none.

    Raises:
        StartError: the file cannot be opened, or is no store of ours.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        open_for_writing(path).close()  # brings it forward

    def forget_requests(self) -> Sequence[ForgetRequest]:
        """The requests without a key, those that wait first."""
        with self._reading() as connection:
            return deletion.list_requests(connection)

    def approve(self, session_id: str, *, at: datetime, salt: bytes) -> Receipt:
        """Delete a session with all below it; one that was deleted before has the same receipt.

        Raises:
            CommandError: nobody asked for it and there is no such session, or its bytes are in the file yet.
        """
        with self._changing() as connection:
            receipt = deletion.find_receipt(connection, session_id)
            if receipt is None:
                asked = deletion.is_requested(connection, session_id)
                if not asked and not deletion.count_tree(connection, session_id):
                    raise CommandError(f"nobody asked to delete {session_id}, and nothing of it is here")
                receipt = deletion.delete_tree(connection, session_id, at=at, salt=salt)
        if not self.erase():
            raise CommandError(f"{session_id} is deleted, but the file is being read; repeat this to erase it")
        return receipt

    def erase(self) -> bool:
        """Have the bytes of what was deleted go from the file; False where somebody reads it for too long."""
        with self._writing() as connection:
            return erasure.empty_log(connection) and erasure.rewrite(connection)

    def refuse(self, session_id: str) -> None:
        """Refuse a request that waits.

        Raises:
            CommandError: there is none.
        """
        with self._changing() as connection:
            if not deletion.refuse(connection, session_id):
                raise CommandError(f"no request to delete {session_id} waits")

    def receipt(self, receipt_hash: str) -> tuple[datetime, int] | None:
        """When the deletion with this receipt was, and of how many documents."""
        with self._reading() as connection:
            query = "SELECT deleted_at, documents FROM receipts WHERE hash = ?"
            row = connection.execute(query, (receipt_hash,)).fetchone()
            return None if row is None else (from_us(row[0]), row[1])

    def contracts(self) -> Sequence[tuple[str, bytes, datetime]]:
        """The contracts that were added: package, JSON, and when."""
        with self._reading() as connection:
            rows = connection.execute("SELECT package, content, added_at FROM contracts ORDER BY package")
            return [(package, content, from_us(added_at)) for package, content, added_at in rows]

    def add_contract(self, package: str, content: bytes, *, at: datetime) -> None:
        """Keep the contract of a package, in place of an earlier one."""
        with self._changing() as connection:
            connection.execute("INSERT OR REPLACE INTO contracts VALUES (?, ?, ?)", (package, content, to_us(at)))

    def take(self, writes: Sequence[Write]) -> Sequence[Stored | Refusal | None]:
        """Keep documents in one transaction, each for itself: what came of it, or why it was refused."""
        with self._changing() as connection:
            return [deletion.attempt(connection, partial(documents.write, wanted=write))[0] for write in writes]

    def pulled_until(self, project: str, collection: str) -> str | None:
        """The id of the document up to which an unfinished walk through a project's collection has come."""
        with self._reading() as connection:
            query = "SELECT last_id FROM pulls WHERE project = ? AND collection = ?"
            row = connection.execute(query, (project, collection)).fetchone()
            return None if row is None else str(row[0])

    def note_pulled(self, project: str, collection: str, last_id: str | None) -> None:
        """Keep how far a walk has come; None where it has come to its end."""
        with self._changing() as connection:
            connection.execute("DELETE FROM pulls WHERE project = ? AND collection = ?", (project, collection))
            if last_id is not None:
                connection.execute("INSERT INTO pulls VALUES (?, ?, ?)", (project, collection, last_id))

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with closing(open_for_writing(self.path, timeout_s=_TIMEOUT_S)) as connection:
            try:
                yield connection
            except sqlite3.Error as error:
                raise CommandError(f"cannot write the database {self.path} ({error}); try again") from error

    @contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        with self._writing() as connection, connection:  # commits in the end, or rolls back
            connection.execute("BEGIN IMMEDIATE")
            yield connection
