"""Each database has an identity, by which a restore recognizes the backups of the database that it replaces."""

import os

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Create the table and draw the identity of this database."""
    identities = op.create_table(
        "identities",
        sa.Column("number", sa.Integer(), primary_key=True),
        sa.Column("identity", sa.LargeBinary(), nullable=False, unique=True),
    )
    op.bulk_insert(identities, [{"identity": os.urandom(16)}])
