"""The collections of documents, and the tables that exports have in their place. Pure."""

COUNTER_PREFIX = "using_"
SESSIONS = "sessions"
STATS = "session_stats"
INVOKES = "invokes"
PARENTS = {STATS: SESSIONS, INVOKES: STATS}
"""By collection, that of the document above."""
_TABLE_OF = {SESSIONS: "sessions", STATS: "stats", INVOKES: "invokes"}
_COLLECTION_OF = {table: collection for collection, table in _TABLE_OF.items()}
TABLES = ("imports", *_COLLECTION_OF)


def is_import(collection: str) -> bool:
    """Return whether a collection takes imports, which are counted and not stored."""
    return collection.startswith(COUNTER_PREFIX)


def collection_of(table: str, package: str) -> str:
    """Return the collection whose documents, or imports, are in a table."""
    return _COLLECTION_OF.get(table, f"{COUNTER_PREFIX}{package}")


def table_of(collection: str) -> str:
    """Return the table that has the documents, or imports, of a collection."""
    return _TABLE_OF.get(collection, "imports")
