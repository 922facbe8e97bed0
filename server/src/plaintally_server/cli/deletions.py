"""`plaintally-server forget`: decides on requests to delete a session."""

import secrets
from datetime import UTC, datetime

import click

from plaintally_server.admin import deletions
from plaintally_server.cli.account import account
from plaintally_server.cli.options import on_database, on_session, read_session_id
from plaintally_server.cli.terminal import echo
from plaintally_server.exceptions import CommandError
from plaintally_server.store.database import Database
from plaintally_server.store.maintenance import open_to_change, open_to_read
from plaintally_server.store.restore import read_deletions


@click.group()
def forget() -> None:
    """Decide on requests to delete a session.

    Users who have a session's deletion key can delete it immediately. Requests without it appear
    here for approval.
    """


@forget.command("list")
@click.option("--limit", type=click.IntRange(1), default=100, help="How many of each state.")
@on_database
def list_requests(*, limit: int, database: Database) -> None:
    """List the requests, with the number of documents each is about."""
    store = open_to_read(database)
    asked = {
        state: deletions.list_requests(store, account(), state) for state in ("waiting", "refused")
    }
    for requests in asked.values():
        for request in requests[:limit]:
            documents = "1 document" if request.documents == 1 else f"{request.documents} documents"
            when = f"{request.requested_at:%Y-%m-%d %H:%M}"
            echo(f"{request.session}  {when}  {request.state}  {documents}")
    if not any(asked.values()):
        echo("No request waits.")
    for state, requests in asked.items():
        if len(requests) > limit:
            echo(f"{len(requests) - limit:,} more are {state}; see --limit.")


@forget.command()
@on_session
@on_database
def approve(*, session_id: str, database: Database) -> None:
    """Delete a session and all that was shared of it, and print the receipt.

    If you export: also the files that have it until `export` is run again.
    """
    store = open_to_change(database)
    now = datetime.now(UTC)
    exported = deletions.find_exported(store, session_id, now)
    receipt = store.approve(session_id, at=now, salt=secrets.token_bytes(16), actor=account().name)
    for name, value in receipt.to_dict().items():
        echo(f"{name.replace('_', ' '):10}  {value}")
    for partition in exported:
        echo(f"in exports  {partition.path}")


@forget.command()
@on_database
def erase(*, database: Database) -> None:
    """Erase the last bytes of deleted sessions from the tables.

    A collector on SQLite does so by itself. On PostgreSQL all reads and writes wait meanwhile; its
    write-ahead log, backups and replicas are yours to delete.
    """
    if not open_to_change(database).rewrite():
        raise CommandError("something else reads the database; repeat this in a moment")
    echo("Erased.")


@forget.command()
@click.argument(
    "session_id",
    metavar="[ID]",
    callback=lambda *given: read_session_id(*given) if given[2] else None,
    default="",
)
@click.option(
    "--empty", is_flag=True, help="Refuse all that are about no document, in place of one."
)
@on_database
def refuse(*, session_id: str | None, empty: bool, database: Database) -> None:
    """Refuse a request; it waits again if the user sends it again.

    Refused requests, and requests about no document, leave the list after 30 days. --empty removes
    those about no document immediately.
    """
    if (session_id is None) is not empty:
        raise click.UsageError("Give either an ID or --empty.")
    store = open_to_change(database)
    now = datetime.now(UTC)
    if session_id is None:
        echo(deletions.refuse_empty(store, account(), now))
    else:
        echo(deletions.refuse(store, session_id, account(), now))


@forget.command("receipt")
@click.argument("receipt_hash", metavar="HASH")
@on_database
def show_receipt(*, receipt_hash: str, database: Database) -> None:
    """Tell whether a receipt is one of this collector's."""
    found = open_to_read(database).receipt(receipt_hash.strip().lower())
    if found is None:
        raise CommandError(
            "this collector gave no receipt with that hash; compare all of its characters"
        )
    deleted_at, documents = found
    echo(f"Deleted {documents} documents on {deleted_at:%Y-%m-%d at %H:%M} UTC.")


@forget.command("log")
@on_database
def print_log(*, database: Database) -> None:
    """Print hashes of what was deleted, for `restore`."""
    open_to_read(database)  # or a database without tables would have no deletions
    for line in read_deletions(database):
        echo(line)
