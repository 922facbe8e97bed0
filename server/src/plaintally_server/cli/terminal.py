"""What commands print: nothing in it that a terminal would obey."""

from collections.abc import Iterator
from contextlib import contextmanager

import click

from plaintally.printable import printable


def echo(text: str, *, lines: bool = False, err: bool = False) -> None:
    """Print a line; with `lines`, newlines in it stay, so foreign text in it must have none."""
    click.echo(printable(text, lines=lines), err=err)


@contextmanager
def printable_errors() -> Iterator[None]:
    """Make the messages of click's errors printable, which may quote an argument or a file."""
    try:
        yield
    except click.ClickException as error:
        error.message = printable(error.message)  # type: ignore[misc]  # click declares it final
        raise
