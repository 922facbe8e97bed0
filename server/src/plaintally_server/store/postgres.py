"""The store in PostgreSQL, which several collectors may share.

A batch is one transaction: what it names is read and locked in the order of names, then put by one
statement. If another collector was quicker with a name, or with the id of an import, the batch is
planned again on what is there then. Each batch shares an advisory lock that a deletion has alone,
so that nothing arrives below what is being deleted. Batches with imports of the same package wait
for each other's commit, since they add to the same sums.
"""

import time
from collections.abc import Sequence

import psycopg
from psycopg.errors import DeadlockDetected, SerializationFailure, UniqueViolation
from sqlalchemy import QueuePool
from sqlalchemy.exc import DBAPIError

from plaintally_server.exceptions import Refusal, StartError, unavailable
from plaintally_server.store import libpq, schema
from plaintally_server.store.batch import Answer, Groups, Plan, Quicker
from plaintally_server.store.combinations import Staging
from plaintally_server.store.database import (
    ERRORS,
    describe,
    open_for_reading,
    open_for_writing,
    problem,
)
from plaintally_server.store.libpq import Session, connect, is_full, is_lost
from plaintally_server.store.postgres_batch import Attempt
from plaintally_server.store.vacuuming import Vacuuming
from plaintally_server.store.writer import disk_full
from plaintally_server.store.writing import SQLStore, Transactions

_AGAIN = (Quicker, UniqueViolation, DeadlockDetected, SerializationFailure)


class PostgresStore(SQLStore):
    """A store in PostgreSQL; other collectors may run on it.

    Args:
        url: its address.
        patience_s: for how long a batch waits for a database that is not there.

    Raises:
        StartError: the database cannot be opened, or `migrate` has to be run.
    """

    def __init__(self, url: str, *, patience_s: float = 8) -> None:
        schema.prepare(url)
        self._server = _Server(url, patience_s)
        reads = open_for_reading(url, pool=QueuePool, limit_s=libpq.LIMIT_S)
        super().__init__(reads, self._server, self._server.transactions)


class _Server:
    """The connection that writes; see `Backend`."""

    def __init__(self, url: str, patience_s: float) -> None:
        self._url = url
        self._patience_s = patience_s
        self._is_there = True
        self.engine = open_for_writing(url, alone=True, limit_s=libpq.LIMIT_S)
        self._vacuuming = Vacuuming(open_for_writing(url))  # without a limit: VACUUM may take hours
        self.transactions = Transactions(self.engine, self._vacuuming.begin)
        self._connection: Session | None = None
        self._staging = Staging(self.engine)
        try:
            self._connect()
        except (*ERRORS, psycopg.Error) as error:
            raise StartError(
                problem(f"cannot write the database {describe(url)}", error)
            ) from error

    def write(self, groups: Groups) -> Sequence[Answer]:
        """Do a batch in one transaction, again after a lost connection or a conflict."""
        attempt = Attempt(groups)
        self._staging.prepare(attempt.days)
        planned = self._persist(attempt)
        self._staging.note(planned.imports)
        self.transactions.note_ids(planned.ids)
        self.transactions.bury(planned.late)
        return planned.answers

    def refuse(self, error: Exception) -> Refusal | None:
        """The answer where PostgreSQL, or the way to it, raised this."""
        if is_full(error):
            return disk_full()
        if isinstance(error, (DBAPIError, OSError, psycopg.Error)):
            return unavailable("The collector cannot write just now; try again in a moment.")
        return None

    def verify(self) -> None:
        """See `Backend.verify`; here each commit reports its own failure."""

    @property
    def wait_s(self) -> float | None:
        """See `Backend.wait_s`."""
        return self._vacuuming.wait_s

    def tidy(self) -> None:
        """Have the bytes of what was deleted go."""
        self._vacuuming.finish()

    def close(self) -> None:
        """Let go of the connections."""
        self._disconnect()
        self._vacuuming.close()
        self.engine.dispose()

    def _persist(self, attempt: Attempt) -> Plan:
        """Try until it is done, or the database was not there for too long."""
        # Once one batch has waited in vain, those behind it do not, until one succeeds.
        give_up = time.monotonic() + self._patience_s * self._is_there
        pause_s = 0.05
        while True:
            try:
                planned = attempt.run(self._connect())
            except _AGAIN:
                self._roll_back()
            except Exception as error:
                self._disconnect()  # which ends the transaction
                if not is_lost(error):
                    raise
                self._is_there = False
                if time.monotonic() + pause_s > give_up:
                    raise
                time.sleep(pause_s)
                pause_s *= 2
            else:
                self._is_there = True
                return planned

    def _connect(self) -> Session:
        if self._connection is None or self._connection.closed:
            self._connection = connect(self._url)
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _roll_back(self) -> None:
        try:
            self._connect().rollback()
        except psycopg.Error:  # the next attempt finds out why
            self._disconnect()
