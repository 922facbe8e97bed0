"""Rollups of sessions and invokes: what days they hold, and their sums by month.

Every day that has documents is noted as one that changed, so that it is rolled up as soon as a collector runs.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the tables, and note the days."""
    sqlite = op.get_bind().dialect.name == "sqlite"
    op.drop_table("dirty_days")
    op.create_table(
        "rolled_days",
        _text("package", sqlite=sqlite),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("changes", sa.BigInteger(), nullable=False),
        sa.Column("rolled", sa.BigInteger()),
        sa.PrimaryKeyConstraint("package", "day"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "monthly_rollups",
        _text("series", sqlite=sqlite),
        _text("package", sqlite=sqlite),
        sa.Column("month", sa.Date(), nullable=False),
        _text("key", sqlite=sqlite),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("series", "package", "month", "key"),
        sqlite_with_rowid=False,
    )
    days = "create_time / 86400000000"
    day = f"date({days} * 86400, 'unixepoch')" if sqlite else f"DATE '1970-01-01' + ({days})::integer"
    op.execute(
        f"INSERT INTO rolled_days (package, day, changes) SELECT DISTINCT package, {day}, 1 FROM documents"  # noqa: S608
    )


def _text(name: str, *, sqlite: bool) -> "sa.Column[object]":
    return sa.Column(name, sa.Text() if sqlite else sa.Text(collation="C"), nullable=False)
