"""The first tables, as `plaintally_server.store.tables` declares them.

No released version has other ones. Write them out here before a later migration changes them.
"""

import os

from alembic import op

from plaintally_server.store.tables import identities, metadata

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the tables that the database uses, and draw its identity (see `identity`)."""
    bind = op.get_bind()
    tables = [
        table
        for table in metadata.sorted_tables
        if table.info.get("only", bind.dialect.name) == bind.dialect.name
    ]
    metadata.create_all(bind, tables=tables)
    op.bulk_insert(identities, [{"identity": os.urandom(16)}])
