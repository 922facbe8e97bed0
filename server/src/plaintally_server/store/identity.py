"""The identity of a database: which backups and which files of deletions belong to it.

A database draws 16 random bytes when its tables are created. Backups, dumps and copies take them
along, so a restore can compare the database that it replaces with the backup. If both have the same
identity, the present database has been in use since the backup and knows everything that was
deleted meanwhile.

A restore that could not read the deletions from such a database may have missed some. It adds a new
identity after the old ones. From then on the database does not continue older backups any more, but
a file of deletions that was written from the lost database can still be applied to it.
"""

import os
from datetime import datetime, timedelta

from sqlalchemy import Connection

from plaintally_server.retention import KEPT_DAYS, KEPT_LONGER_DAYS
from plaintally_server.store.burials import Deletions
from plaintally_server.store.tables import identities
from plaintally_server.store.times import to_us

_KEPT = timedelta(days=KEPT_DAYS + KEPT_LONGER_DAYS)


def renew(connection: Connection) -> None:
    """Add a new identity, in a transaction of the caller."""
    connection.execute(identities.insert().values(identity=os.urandom(16)))


def continues(present: Deletions, backup: Deletions, *, at: datetime) -> bool:
    """Return whether a database has been in use since a backup of it was made.

    The same identity is not enough: someone may have put an older file back by hand. Therefore the
    database must also know the deletions that the backup knows, except those that may be purged.
    """
    if not backup.identities or present.identities[-1:] != backup.identities[-1:]:
        return False
    return backup.keys(since=to_us(at - _KEPT)) <= present.keys()


def belongs(deletions: Deletions, backup: Deletions) -> bool:
    """Return whether deletions were written from the database of a backup, at any later time."""
    return bool(backup.identities) and backup.identities[-1] in deletions.identities


def is_related(one: Deletions, other: Deletions) -> bool:
    """Return whether two databases have a common origin."""
    return not set(one.identities).isdisjoint(other.identities)
