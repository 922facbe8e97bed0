"""Logins are rows, and requests for deletion say whether anything of their session was there."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Make the table of logins, and the column and index of requests."""
    op.create_table(
        "logins",
        sa.Column("hash", sa.LargeBinary(), primary_key=True),
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("token_mac", sa.LargeBinary(), nullable=False),
        sa.Column("ends_at", sa.BigInteger(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.add_column("forget_requests", sa.Column("is_found", sa.Boolean(), nullable=False, server_default=sa.true()))
    op.create_index("forget_requests_by_time", "forget_requests", ["is_found", "requested_at"])
