"""`plaintally-server pull`: copies a Firestore project into the local database."""

from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from plaintally_server.admin.pull import Pull
from plaintally_server.cli.options import choose_contracts, on_contracts, on_database, on_packages
from plaintally_server.cli.settings_file import setting
from plaintally_server.cli.terminal import echo
from plaintally_server.exceptions import Refusal
from plaintally_server.firestore.client import Project
from plaintally_server.firestore.documents import check_id
from plaintally_server.store.database import Database
from plaintally_server.store.maintenance import Maintenance

_COLUMNS = (
    TextColumn("{task.description}"),
    BarColumn(),
    MofNCompleteColumn(),
    TimeRemainingColumn(),
)


def _read_project(_: click.Context, __: click.Parameter, text: str) -> str:
    try:
        return check_id(text, "project")
    except Refusal as refusal:
        raise click.BadParameter(refusal.message) from refusal


@click.command()
@setting("project", required=True, callback=_read_project, help="The id of the Firestore project.")
@setting(
    "credentials",
    type=click.Path(path_type=Path),
    show_default="those of the machine, as Google's tools leave them",
    help="Key of a service account, as JSON.",
)
@on_packages
@on_contracts
@on_database
@click.option(
    "--delete", is_flag=True, help="Delete in the project what was copied, and --delete-forgotten."
)
@click.option(
    "--delete-forgotten",
    is_flag=True,
    help="Delete there what belongs to sessions that were deleted here.",
)
def pull(
    *,
    project: str,
    credentials: Path | None,
    packages: tuple[str, ...],
    contracts: tuple[Path, ...],
    database: Database,
    delete: bool,
    delete_forgotten: bool,
) -> None:
    """Copy counts and shared sessions out of a Firestore project.

    It can be interrupted and repeated: what was copied is kept, and counted once.
    """
    collected = choose_contracts(database, contracts, packages)
    work = Pull(
        Project(project, credentials=credentials),
        Maintenance(database),
        collected,
        delete=delete,
        delete_forgotten=delete or delete_forgotten,
        now=datetime.now(UTC),
    )
    console = Console(stderr=True)
    with Progress(*_COLUMNS, console=console, disable=not console.is_terminal) as progress:
        outcome = work.run(progress)
    work.project.close()
    for line in outcome.lines():
        echo(line)
