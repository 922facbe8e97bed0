"""The commands of a maintainer: sessions that are asked about or are to be deleted, and contracts.

They work on the database, also while a collector runs on it.
"""

import secrets
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path

import click

from plaintally_server.admin.sessions import read_session, summarize, tell_older, tell_skipped
from plaintally_server.cli.exclusions import find_actor
from plaintally_server.cli.options import collect_contracts, on_config, on_contracts, on_database
from plaintally_server.cli.terminal import echo
from plaintally_server.exceptions import CommandError, Refusal
from plaintally_server.export.layout import Partition, affected_partitions
from plaintally_server.ingest.deletion_requests import parse_session_id
from plaintally_server.settings import load_contract, read_contract, write_contract
from plaintally_server.store import schema
from plaintally_server.store.backup import read_deletions
from plaintally_server.store.database import Database, describe
from plaintally_server.store.maintenance import Maintenance, open_to_change, open_to_read
from plaintally_server.store.tables import HEAD
from plaintally_server.store.timestamps import last_sealed


def _read_id(_: click.Context, __: click.Parameter, text: str) -> str:
    try:
        return parse_session_id(text)
    except Refusal as refusal:
        raise click.BadParameter(refusal.message) from refusal


on_session = click.argument("session_id", metavar="ID", callback=_read_id)


@click.command()
@on_session
@on_config
@on_contracts
@on_database
@click.option(
    "--last",
    type=click.IntRange(0),
    default=5,
    show_default=True,
    help="How many invokes of each label.",
)
def lookup(*, session_id: str, contracts: Sequence[Path], database: Database, last: int) -> None:
    """Show a session that was shared."""
    maintenance = open_to_read(database)
    try:
        shared = read_session(
            maintenance, session_id, contracts=collect_contracts(database, contracts)
        )
    except Refusal as refusal:
        raise CommandError(refusal.message.rstrip(".").replace("Nothing", "nothing")) from refusal
    summary, skipped = summarize(shared, n_last=last)
    echo(str(summary), lines=True)
    for line in tell_older(shared):
        echo(line)
    if skipped:
        echo(tell_skipped(skipped))


@click.command()
@on_config
@on_database
def migrate(*, database: Database) -> None:
    """Bring the tables to this version, or make them; `serve` does that itself with a file, never on PostgreSQL."""
    before = schema.migrate(database)
    echo(f"The tables of {describe(database)} are of version {HEAD}; they were {_tell(before)}.")


def _tell(version: str | None) -> str:
    if version is None:
        return "older, or not there"
    return "so before" if version == HEAD else f"of version {version}"


@click.group()
def forget() -> None:
    """Decide on requests to delete a session.

    Whoever has a session's deletion key needs nobody; a request without it waits here.
    """


@forget.command("list")
@click.option(
    "--limit",
    type=click.IntRange(1),
    default=100,
    show_default=True,
    help="How many of each state.",
)
@on_config
@on_database
def list_requests(*, limit: int, database: Database) -> None:
    """List the requests, with the number of documents each is about."""
    store = open_to_read(database)
    asked = {state: store.forget_requests(state) for state in ("waiting", "refused")}
    requests = [request for found in asked.values() for request in found[:limit]]
    for request in requests:
        documents = "1 document" if request.documents == 1 else f"{request.documents} documents"
        echo(
            f"{request.session}  {request.requested_at:%Y-%m-%d %H:%M}  {request.state}  "
            f"{documents}"
        )
    if not requests:
        echo("No request waits.")
    for state, found in asked.items():
        if len(found) > limit:
            echo(f"{len(found) - limit:,} more are {state}; see --limit.")


@forget.command()
@on_session
@on_config
@on_database
def approve(*, session_id: str, database: Database) -> None:
    """Delete a session and all that was shared of it, and print the receipt.

    If you export: also the files that have it until `export` is run again.
    """
    store, now = open_to_change(database), datetime.now(UTC)
    exported = find_exported(store.received(session_id), until=last_sealed(now))
    receipt = store.approve(session_id, at=now, salt=secrets.token_bytes(16), actor=find_actor())
    for name, value in receipt.to_dict().items():
        echo(f"{name.replace('_', ' '):10}  {value}")
    for partition in exported:
        echo(f"in exports  {partition.path}")


@forget.command()
@on_config
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
    callback=lambda *given: _read_id(*given) if given[2] else None,
    default="",
)
@click.option(
    "--empty", is_flag=True, help="Refuse all that are about no document, in place of one."
)
@on_config
@on_database
def refuse(*, session_id: str | None, empty: bool, database: Database) -> None:
    """Refuse a request; it stays in the list, and waits anew when somebody asks again.

    It leaves the list 30 days after it came, and those about no document do so, too: at once with
    --empty.
    """
    if (session_id is None) is not empty:
        raise click.UsageError("Give either an ID or --empty.")
    store, now = open_to_change(database), datetime.now(UTC)
    if session_id is None:
        echo(
            f"Refused {store.refuse_empty(actor=find_actor(), at=now):,} requests about no "
            "document."
        )
        return
    store.refuse(session_id, actor=find_actor(), at=now)
    echo(f"Refused; {session_id} stays.")


@forget.command("receipt")
@click.argument("receipt_hash", metavar="HASH")
@on_config
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
@on_config
@on_database
def print_log(*, database: Database) -> None:
    """Print hashes of what was deleted, for `restore`."""
    open_to_read(database)  # or a database without tables would have no deletions
    for line in read_deletions(database):
        echo(line)


def find_exported(
    received: Sequence[tuple[str, str, datetime]], *, until: date
) -> Sequence[Partition]:
    """The files that an export has of documents, of days up to one; each has a collection, a package and a time."""
    found = {
        partition
        for collection, package, at in received
        for partition in affected_partitions(package, [(collection, at)])
    }
    return sorted(partition for partition in found if partition.day <= until)


@click.group()
def contract() -> None:
    """Keep contracts in the database, so that `serve` needs no --contract for them."""


@contract.command()
@click.argument("file", type=click.Path(path_type=Path))
@on_config
@on_database
def add(*, file: Path, database: Database) -> None:
    """Add the contract in a JSON file, in place of an earlier one of that package."""
    package, declared = load_contract(file)
    Maintenance(database).add_contract(
        package, write_contract(package, declared), at=datetime.now(UTC)
    )
    place = describe(database)
    echo(
        f"Added the contract of {package} to {place}; a collector takes it up when it starts next."
    )


@contract.command("list")
@on_config
@on_database
def list_contracts(*, database: Database) -> None:
    """List the contracts that were added."""
    contracts = open_to_read(database).contracts()
    for package, content, added_at in contracts:
        _, declared = read_contract(content, f"of {package} in {describe(database)}")
        labels = ", ".join(declared.labels) or "no labels"
        echo(f"{package}  {added_at:%Y-%m-%d %H:%M}  {declared.hash()[:12]}  {labels}")
    if not contracts:
        echo("No contract was added.")
