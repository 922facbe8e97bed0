"""The identities of a database: which backups and which files of deletions belong to it.

A database draws 16 random bytes when its tables are created, and again for each backup, which gets
them as its last ones. Dumps, copies and files of deletions take all of them along. A database that
has the last identity of a backup was in use after that backup was made, so it knows what was
deleted before and since. One that lacks it is another database or an older copy, even if nothing
was deleted in between.

A restore adds the identities of what it read the deletions from, since the new database knows as
much.
"""

import os

from sqlalchemy import Connection

from plaintally_server.store.deletion_records import Deletions
from plaintally_server.store.tables import identities


def draw() -> bytes:
    """Return a new identity."""
    return os.urandom(16)


def add(connection: Connection, new: bytes) -> None:
    """Add an identity, in a transaction of the caller."""
    connection.execute(identities.insert().values(identity=new))


def continues(known: Deletions, backup: Deletions) -> bool:
    """Return whether a database, or a file of deletions, is at least as new as a backup of it."""
    return bool(backup.identities) and backup.identities[-1] in known.identities


def is_related(one: Deletions, other: Deletions) -> bool:
    """Return whether two databases have a common origin."""
    return not set(one.identities).isdisjoint(other.identities)
