"""SQLite keeps import documents in a table of their own, so that erasing what was shared never rewrites them.

`documents` becomes a view of both tables, through which everything but the batches of the collector reads and writes.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
_COLUMNS = "collection, id, fields, create_time, update_time, package, parent"
_TABLES = {"import_documents": "=", "shared_documents": "<>"}


def upgrade() -> None:
    """Make the tables, move the documents, and make the view with its triggers."""
    if op.get_bind().dialect.name != "sqlite":
        return
    op.create_table("import_documents", *_columns(), sa.PrimaryKeyConstraint("collection", "id"))
    op.create_table(
        "shared_documents",
        sa.Column("number", sa.Integer(), primary_key=True),
        *_columns(),
        sa.UniqueConstraint("collection", "id"),
        sa.UniqueConstraint("collection", "parent", "create_time", "number"),
        sa.UniqueConstraint("package", "create_time", "number"),
    )
    op.create_table(
        "erasure_pass",
        sa.Column("last", sa.Integer(), primary_key=True),
        sa.Column("position", sa.BigInteger(), nullable=False),
    )
    for table, sign in _TABLES.items():
        op.execute(
            f"INSERT INTO {table} ({_COLUMNS}) SELECT {_COLUMNS} FROM documents"  # noqa: S608
            f" WHERE substr(collection, 1, 6) {sign} 'using_' ORDER BY create_time"
        )
    op.drop_table("documents")
    op.create_index("import_documents_by_time", "import_documents", ["package", "create_time"])
    _make_view()


def _columns() -> list[sa.Column[Any]]:
    return [
        sa.Column("collection", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("fields", sa.LargeBinary(), nullable=False),
        sa.Column("create_time", sa.BigInteger(), nullable=False),
        sa.Column("update_time", sa.BigInteger(), nullable=False),
        sa.Column("package", sa.Text(), nullable=False),
        sa.Column("parent", sa.Text()),
    ]


def _make_view() -> None:
    parts = (f"SELECT {_COLUMNS} FROM {table}" for table in sorted(_TABLES, reverse=True))  # noqa: S608
    op.execute(f"CREATE VIEW documents AS {' UNION ALL '.join(parts)}")
    values = ", ".join(f"NEW.{name}" for name in _COLUMNS.split(", "))
    this = "collection = OLD.collection AND id = OLD.id"
    for table, sign in _TABLES.items():
        for event, time, statement in (
            ("INSERT", "NEW", f"INSERT INTO {table} ({_COLUMNS}) VALUES ({values})"),  # noqa: S608
            ("DELETE", "OLD", f"DELETE FROM {table} WHERE {this}"),  # noqa: S608
            (
                "UPDATE OF fields, update_time",
                "OLD",
                f"UPDATE {table} SET fields = NEW.fields, update_time = NEW.update_time WHERE {this}",  # noqa: S608
            ),
        ):
            name = f"documents_{event.partition(' ')[0].lower()}_{table.partition('_')[0]}"
            op.execute(
                f"CREATE TRIGGER {name} INSTEAD OF {event} ON documents"
                f" WHEN substr({time}.collection, 1, 6) {sign} 'using_' BEGIN {statement}; END"
            )
