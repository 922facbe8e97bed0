"""Opens the store, or the reading side of it, that a database is for."""

from plaintally_server.store.database import Database, open_for_reading
from plaintally_server.store.maintenance import Maintenance
from plaintally_server.store.reader import SQLReader
from plaintally_server.store.writing import SQLStore


def open_store(database: Database) -> SQLStore:
    """The store in a database.

    Args:
        database: a file, or an address of PostgreSQL's.

    Raises:
        StartError: the database cannot be used.
    """
    if isinstance(database, str):
        from plaintally_server.store.postgres import PostgresStore  # which needs the extra

        return PostgresStore(database)
    from plaintally_server.store.sqlite import SQLiteStore

    return SQLiteStore(database)


def open_maintenance(database: Database, store: SQLStore) -> Maintenance:
    """Return the store for the pages of a running collector, with bounded statements."""
    if isinstance(database, str):
        from plaintally_server.store import libpq  # which needs the extra

        return Maintenance(database, verify=store.verify, limit_s=libpq.LIMIT_S)
    return Maintenance(database, verify=store.verify)


def open_reader(database: Database) -> SQLReader:
    """The reading side of a store, also while a collector writes it."""
    return SQLReader(open_for_reading(database))
