"""One schema for SQLite and PostgreSQL; SQLite files that are older are brought forward into it.

Before, the version of a file stood in its `user_version`: 0 had counts only, 1 and 2 sessions and deletions, too. From
here on it is 3, so that whoever runs an older collector on the file is told that it is of a newer version.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables; move what an older file has into them."""
    sqlite = op.get_bind().dialect.name == "sqlite"
    old = sa.inspect(op.get_bind()).has_table("documents")
    if old:
        _widen()
    _make_documents(sqlite=sqlite)
    _make_figures(sqlite=sqlite)
    _make_deletions(sqlite=sqlite)
    _make_desk()
    if old:
        op.execute(
            "INSERT INTO rollups (series, package, day, key, value)"
            " SELECT 'imports', package, day, '', count FROM daily_totals"
        )
        op.drop_table("daily_totals")
    if sqlite:
        op.execute("PRAGMA user_version = 3")


def _widen() -> None:
    """Give the tables of an older file the columns that they lack; all documents of version 0 were counts."""
    inspector = sa.inspect(op.get_bind())
    if "package" not in {column["name"] for column in inspector.get_columns("documents")}:
        op.execute("ALTER TABLE documents ADD COLUMN package TEXT NOT NULL DEFAULT ''")
        op.execute("ALTER TABLE documents ADD COLUMN parent TEXT")
        op.execute("UPDATE documents SET package = substr(collection, 7)")
    if inspector.has_table("tombstones"):
        op.execute("ALTER TABLE tombstones ADD COLUMN buried_at BIGINT")
    op.execute("DROP INDEX IF EXISTS documents_by_parent")  # of an older file; it is made anew


def _key(name: str, *, sqlite: bool, nullable: bool = False) -> "sa.Column[object]":
    return sa.Column(name, sa.Text() if sqlite else sa.LargeBinary(), nullable=nullable)


def _text(name: str, *, sqlite: bool) -> "sa.Column[object]":
    return sa.Column(name, sa.Text() if sqlite else sa.Text(collation="C"), nullable=False)


def _time(name: str, *, nullable: bool = False) -> "sa.Column[object]":
    return sa.Column(name, sa.BigInteger(), nullable=nullable)


def _make(name: str, *parts: sa.schema.SchemaItem, rowid: bool = False) -> None:
    op.create_table(name, *parts, if_not_exists=True, sqlite_with_rowid=rowid)


def _make_documents(*, sqlite: bool) -> None:
    key = ("collection", "id") if sqlite else ("create_time", "collection", "id")
    op.create_table(
        "documents",
        _key("collection", sqlite=sqlite),
        _key("id", sqlite=sqlite),
        sa.Column("fields", sa.LargeBinary(), nullable=False),
        _time("create_time"),
        _time("update_time"),
        _text("package", sqlite=sqlite),
        _key("parent", sqlite=sqlite, nullable=True),
        sa.PrimaryKeyConstraint(*key),
        if_not_exists=True,
        sqlite_with_rowid=False,
        postgresql_partition_by="RANGE (create_time)",
    )
    has_parent = sa.text("parent IS NOT NULL")
    op.create_index(
        "documents_by_parent",
        "documents",
        ["collection", "parent", "create_time"],
        sqlite_where=has_parent,
        postgresql_where=has_parent,
    )
    if sqlite:
        op.create_index("documents_by_time", "documents", ["package", "create_time"])
    else:
        names = (_key("collection", sqlite=sqlite), _key("id", sqlite=sqlite), _time("create_time"))
        _make("names", *names, sa.PrimaryKeyConstraint("collection", "id"))
        op.create_index("names_by_time", "names", ["create_time"], postgresql_using="brin")


def _make_figures(*, sqlite: bool) -> None:
    _make(
        "counted_ids",
        _text("package", sqlite=sqlite),
        sa.Column("id", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("package", "id"),
    )
    _make(
        "rollups",
        _text("series", sqlite=sqlite),
        _text("package", sqlite=sqlite),
        _day(),
        _text("key", sqlite=sqlite),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("series", "package", "day", "key"),
    )
    _make("dirty_days", _text("package", sqlite=sqlite), _day(), sa.PrimaryKeyConstraint("package", "day"))
    _make(
        "purges",
        _number("id"),
        _time("at"),
        _word("package"),
        _word("what"),
        _time("until"),
        sa.Column("removed", sa.BigInteger(), nullable=False),
        rowid=True,
    )
    _make(
        "struck",
        _number("id"),
        _word("package"),
        *(_time(name) for name in ("first_at", "until")),
        *(_word(name) for name in ("reason", "actor")),
        _time("at"),
        rowid=True,
    )


def _make_deletions(*, sqlite: bool) -> None:
    _make(
        "tombstones",
        sa.Column("id_hash", sa.LargeBinary(), primary_key=True, nullable=False),
        sa.Column("key_hash", sa.LargeBinary()),
        _time("buried_at", nullable=True),
    )
    _make(
        "receipts",
        sa.Column("session_hash", sa.LargeBinary(), primary_key=True, nullable=False),
        _time("deleted_at"),
        sa.Column("documents", sa.Integer(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False, unique=True),
    )
    _make("forget_requests", _name("session"), _time("requested_at"), _word("state"))
    _make("erasures", _number("id"), _time("due_at"), rowid=True)
    _make(
        "pulls",
        _word("project"),
        _word("collection"),
        _key("last_id", sqlite=sqlite),
        sa.PrimaryKeyConstraint("project", "collection"),
    )


def _make_desk() -> None:
    _make("contracts", _name("package"), sa.Column("content", sa.LargeBinary(), nullable=False), _time("added_at"))
    _make(
        "tokens",
        _name("name"),
        sa.Column("hash", sa.LargeBinary(), nullable=False, unique=True),
        _word("packages"),
        _time("created_at"),
        sa.Column("last_used_day", sa.Date()),
        _time("revoked_at", nullable=True),
        rowid=True,
    )
    _make("audit", _number("id"), _time("at"), *(_word(name) for name in ("actor", "action", "detail")), rowid=True)


def _day() -> "sa.Column[object]":
    return sa.Column("day", sa.Date(), nullable=False)


def _number(name: str) -> "sa.Column[int]":
    return sa.Column(name, sa.Integer(), primary_key=True)


def _word(name: str) -> "sa.Column[str]":
    return sa.Column(name, sa.Text(), nullable=False)


def _name(name: str) -> "sa.Column[str]":
    return sa.Column(name, sa.Text(), primary_key=True, nullable=False)
