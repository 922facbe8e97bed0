"""The tables, for SQLite and PostgreSQL alike, and what stands in each column.

An import is no row: it adds one to `import_days` and to the sums in `rollups`. Migrations make the
tables; a test compares what they make with what is declared here. Keys of documents are bytes on
PostgreSQL: an id may hold a zero character, which PostgreSQL's texts cannot, and bytes sort the
same everywhere.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    true,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

HEAD = "0001"
"""The migration that makes the tables of this version."""
IMPORTS = "imports"
"""The series of a package's imports on a day, under the empty key."""
IMPORTS_BY_HOUR = "imports/hour"
"""The series of a package's imports in an hour of a day, under the hour, such as 07."""
STRUCK_IMPORTS = "imports/struck"
"""The series of excluded imports as negative numbers, to be added to the imports."""
ADDED_ON_RECEIPT = (IMPORTS, IMPORTS_BY_HOUR, STRUCK_IMPORTS)
"""The series of imports that do not wait for their day to be complete."""
CLOCK = "clock"
"""The series of the clock in microseconds, under the running time; see `store.clock`."""
REFUSED = "refused"
"""The series of a package's rejected documents on a day, under the empty key."""
UP = "up"
"""The series of the minutes of an hour in which a collector ran, under the hour."""


class Key(TypeDecorator[str]):
    """A collection or an id: a text on SQLite, its UTF-8 on PostgreSQL."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """The type in the database."""
        return dialect.type_descriptor(LargeBinary() if dialect.name == "postgresql" else Text())

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | bytes | None:
        """The value as the database has it."""
        return value.encode() if value is not None and dialect.name == "postgresql" else value

    def process_result_value(self, value: str | bytes | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """The inverse."""
        return bytes(value).decode() if value is not None and not isinstance(value, str) else value


def _text() -> TypeEngine[str]:
    """A text that sorts by its code points."""
    return Text().with_variant(Text(collation="C"), "postgresql")


def _time(name: str, comment: str, **more: Any) -> "Column[int]":  # noqa: ANN401
    return Column(
        name, BigInteger, nullable=False, comment=f"{comment}, in microseconds since 1970", **more
    )


metadata = MetaData()


documents = Table(
    "documents",
    metadata,
    Column(
        "number",
        BigInteger().with_variant(Integer, "sqlite"),
        primary_key=True,
        autoincrement=True,
        comment="the order of receipt",
    ),
    Column("collection", Key, nullable=False, comment="the collection that it is in"),
    Column(
        "id", Key, nullable=False, comment="its id there; the project of a name is not looked at"
    ),
    Column("fields", LargeBinary, nullable=False, comment="a Firestore document as JSON"),
    _time("create_time", "the hour in which it was received"),
    _time("update_time", "the hour in which it was last changed, later than the update before"),
    Column("package", _text(), nullable=False, comment="whose contract admitted it"),
    Column("parent", Key, comment="the id of the session, or of the stats, that it belongs to"),
    Column(
        "context_label",
        Text,
        comment="the label of a run whose context is not empty; null for everything else",
    ),
    UniqueConstraint("collection", "id"),
    UniqueConstraint(
        "collection", "parent", "create_time", "number"
    ),  # an index that is renamed with its table
    UniqueConstraint("package", "create_time", "number"),
    UniqueConstraint("package", "context_label", "create_time", "number"),
    comment="what users shared",
)
import_ids = Table(
    "import_ids",
    metadata,
    Column(
        "id", LargeBinary, primary_key=True, comment="16 bytes of a hash of the id and its package"
    ),
    Column(
        "day",
        Integer,
        nullable=False,
        comment="the UTC day on which it was counted, in days since 1970",
    ),
    comment="ids of imports that were counted in the last three days, so that none counts twice",
    sqlite_with_rowid=False,
)
HOURS = tuple(f"h{hour:02}" for hour in range(24))
"""The columns of `import_days` with the imports of each hour."""
import_days = Table(
    "import_days",
    metadata,
    Column("package", _text(), primary_key=True, comment="the package that was imported"),
    Column("day", Integer, primary_key=True, comment="the UTC day of receipt, in days since 1970"),
    Column(
        "fields", _text(), primary_key=True, comment="the coarse fields as a JSON object, or other"
    ),
    *(
        Column(
            name,
            BigInteger,
            nullable=False,
            server_default="0",
            comment=f"how many imports from {hour}:00 on",
        )
        for hour, name in enumerate(HOURS)
    ),
    comment="how often a package was imported, by day and coarse fields, and in which hours",
    sqlite_with_rowid=False,
)
rollups = Table(
    "rollups",
    metadata,
    Column(
        "series", _text(), primary_key=True, comment="what is counted or summed, such as imports"
    ),
    Column("package", _text(), primary_key=True, comment="of which package"),
    Column("day", Date, primary_key=True, comment="the UTC day of receipt"),
    Column(
        "key",
        _text(),
        primary_key=True,
        comment="of which part of the series, such as a version or a bucket",
    ),
    Column(
        "value",
        BigInteger,
        nullable=False,
        comment="a count or a sum; what is added up stays exact",
    ),
    comment="what reports add up: narrow, additive, by day",
    sqlite_with_rowid=False,
)
monthly_rollups = Table(
    "monthly_rollups",
    metadata,
    Column("series", _text(), primary_key=True, comment="as in rollups"),
    Column("package", _text(), primary_key=True, comment="of which package"),
    Column("month", Date, primary_key=True, comment="the first day of the month"),
    Column("key", _text(), primary_key=True, comment="as in rollups"),
    Column("value", BigInteger, nullable=False, comment="the sum over the days of the month"),
    comment="the rollups of days, added up by month, so that a year is read as quickly as a month",
    sqlite_with_rowid=False,
)
rolled_days = Table(
    "rolled_days",
    metadata,
    Column("package", _text(), primary_key=True, comment="of which package"),
    Column("collection", Key, primary_key=True, comment="of which collection"),
    Column("day", Date, primary_key=True, comment="a UTC day on which something was received"),
    Column(
        "stamp",
        BigInteger,
        nullable=False,
        comment="a random number, another one after each change",
    ),
    Column(
        "rolled",
        BigInteger,
        comment="the stamp of what the rollups hold; null: it was never rolled up",
    ),
    comment="which days the rollups hold, and whether as they are now",
    sqlite_with_rowid=False,
)
tombstones = Table(
    "tombstones",
    metadata,
    Column(
        "id_hash",
        LargeBinary,
        primary_key=True,
        comment="SHA-256 of the id of a session or of stats",
    ),
    Column("key_hash", LargeBinary, comment="of a session: SHA-256 of its deletion key"),
    Column(
        "buried_at",
        BigInteger,
        comment="when it was deleted, in microseconds since 1970; null in older files",
    ),
    comment="what was deleted: keeps out what arrives late, and deletes it again after a restore",
    sqlite_with_rowid=False,
)
receipts = Table(
    "receipts",
    metadata,
    Column(
        "session_hash",
        LargeBinary,
        primary_key=True,
        comment="SHA-256 of the id of a session that was deleted",
    ),
    _time("deleted_at", "when"),
    Column("documents", Integer, nullable=False, comment="how many documents went with it"),
    Column(
        "hash",
        Text,
        nullable=False,
        unique=True,
        comment="the receipt's own hash, under which it is looked up",
    ),
    comment="what is left of the sessions that were deleted",
    sqlite_with_rowid=False,
)
forget_requests = Table(
    "forget_requests",
    metadata,
    Column(
        "session", Text, primary_key=True, comment="the session that somebody wants to be deleted"
    ),
    _time("requested_at", "when it was asked for"),
    Column("state", Text, nullable=False, comment="waiting or refused"),
    Column(
        "is_found",
        Boolean,
        nullable=False,
        server_default=true(),
        comment="whether anything of it was here",
    ),
    Index("forget_requests_by_time", "is_found", "requested_at"),
    comment="requests for deletion without a key, which wait for a maintainer",
    sqlite_with_rowid=False,
)
erasures = Table(
    "erasures",
    metadata,
    Column("id", Integer, primary_key=True, comment="their order"),
    _time("due_at", "when something was deleted of which stray bytes may be in the database yet"),
    comment="deletions whose bytes are still to be erased",
)
erasure_pass = Table(
    "erasure_pass",
    metadata,
    Column("last", Integer, primary_key=True, comment="the last of the erasures that it is for"),
    Column(
        "position",
        BigInteger,
        nullable=False,
        comment="the number of the last document that was copied",
    ),
    comment="the pass that erases them, if one was begun (see `erasure`)",
    info={"only": "sqlite"},
)
contracts = Table(
    "contracts",
    metadata,
    Column("package", Text, primary_key=True, comment="whose contract it is"),
    Column("content", LargeBinary, nullable=False, comment="the contract as JSON"),
    _time("added_at", "when it was added"),
    comment="contracts that need not be named at the start",
    sqlite_with_rowid=False,
)
pulls = Table(
    "pulls",
    metadata,
    Column("project", Text, primary_key=True, comment="the Firestore project"),
    Column(
        "collection", Text, primary_key=True, comment="the collection that is being walked through"
    ),
    Column(
        "last_id",
        Key,
        nullable=False,
        comment="the document up to which an unfinished walk has come, else empty",
    ),
    Column(
        "seen_until",
        BigInteger,
        comment="the end of what the last complete walk counted, in the project's time",
    ),
    Column(
        "walk_until",
        BigInteger,
        comment="the end of what an unfinished walk counts, likewise; else null",
    ),
    comment="walks through Firestore projects",
    sqlite_with_rowid=False,
)
rejected_imports = Table(
    "rejected_imports",
    metadata,
    Column("project", Text, primary_key=True, comment="the Firestore project"),
    Column("collection", Text, primary_key=True, comment="the collection of the import"),
    Column(
        "id", LargeBinary, primary_key=True, comment="16 bytes of a hash of its document's name"
    ),
    Column(
        "walk_until",
        BigInteger,
        nullable=False,
        comment="of the last walk that saw it, as in pulls",
    ),
    comment=(
        "imports in Firestore projects that the contract rejected; "
        "they count when the contract admits them"
    ),
    sqlite_with_rowid=False,
)
tokens = Table(
    "tokens",
    metadata,
    Column("name", Text, primary_key=True, comment="what its maintainer calls it"),
    Column(
        "hash",
        LargeBinary,
        nullable=False,
        unique=True,
        comment="SHA-256 of the token, which is kept nowhere",
    ),
    Column(
        "packages",
        Text,
        nullable=False,
        comment="the packages it may read, with spaces between; * is all",
    ),
    _time("created_at", "when it was made"),
    Column("last_used_day", Date, comment="the last UTC day it was used on"),
    Column("revoked_at", BigInteger, comment="when it was revoked, in microseconds since 1970"),
    comment="what lets maintainers read",
)
logins = Table(
    "logins",
    metadata,
    Column("hash", LargeBinary, primary_key=True, comment="SHA-256 of the secret in the cookie"),
    Column("token", Text, nullable=False, comment="the name of the token that it was begun with"),
    Column(
        "token_mac",
        LargeBinary,
        nullable=False,
        comment="HMAC-SHA256 of that token's hash; its key is the secret",
    ),
    _time("ends_at", "when it ends"),
    comment="maintainers who are logged in; no backup and no copy has these rows",
    sqlite_with_rowid=False,
)
audit = Table(
    "audit",
    metadata,
    Column("id", Integer, primary_key=True, comment="their order"),
    _time("at", "when it was done"),
    Column(
        "actor",
        Text,
        nullable=False,
        comment="the token's or the system account's name; never an address",
    ),
    Column("action", Text, nullable=False, comment="what was done"),
    Column("detail", Text, nullable=False, comment="to what"),
    comment="what maintainers did",
)
purges = Table(
    "purges",
    metadata,
    Column("package", Text, primary_key=True, comment="of which package; empty: of all"),
    _time("until", "what was received before was removed", primary_key=True),
    _time("begun_at", "when it began"),
    Column(
        "ended_at",
        BigInteger,
        comment="when it ended, in microseconds since 1970; null: it has not",
    ),
    comment="the last purges of each package",
    sqlite_with_rowid=False,
)
struck = Table(
    "struck",
    metadata,
    Column("id", Integer, primary_key=True, comment="their order"),
    Column("package", Text, nullable=False, comment="of which package"),
    _time("first_at", "counts received from then on"),
    _time("until", "and before then are left out of the figures"),
    Column("reason", Text, nullable=False, comment="why, for the public page"),
    Column("actor", Text, nullable=False, comment="who did so"),
    _time("at", "when it was struck"),
    comment="windows of fabricated imports",
    sqlite_autoincrement=True,  # so that no number ever means another window
)
identities = Table(
    "identities",
    metadata,
    Column("number", Integer, primary_key=True, comment="their order"),
    Column("identity", LargeBinary, nullable=False, unique=True, comment="16 random bytes"),
    comment="drawn when the tables were made and at each backup, and those of replaced databases",
)
