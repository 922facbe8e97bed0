"""Documents of SQLite stand in the order of their receipt, and names are an index on them.

Where they stood in the order of their names, which are random, each touched a page of its own, of few documents; a page
of the index holds the names of sixty. What a session shared, and what is over its time, is together now.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
_MOVE = """
INSERT INTO documents (collection, id, fields, create_time, update_time, package, parent)
SELECT collection, id, fields, create_time, update_time, package, parent FROM named_documents ORDER BY create_time
"""


def upgrade() -> None:
    """Write the table anew."""
    if op.get_bind().dialect.name != "sqlite":
        return
    op.rename_table("documents", "named_documents")
    op.create_table(
        "documents",
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("collection", "id")),
        sa.Column("fields", sa.LargeBinary(), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in ("create_time", "update_time")),
        sa.Column("package", sa.Text(), nullable=False),
        sa.Column("parent", sa.Text()),
        sa.PrimaryKeyConstraint("collection", "id"),
    )
    op.execute(_MOVE)
    op.drop_table("named_documents")
    has_parent = sa.text("parent IS NOT NULL")
    below = ["collection", "parent", "create_time"]
    op.create_index("documents_by_parent", "documents", below, sqlite_where=has_parent)
    op.create_index("documents_by_time", "documents", ["package", "create_time"])
