"""How a command fails: one sentence with the fact and the remedy, never a traceback.

Errors that commands expect are of `ServerError` or of click, and pass. Everything else is reported
here. A database is named without its password. An error that nothing is known of is reported by its
kind and place, since its text may hold what a client sent.
"""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from plaintally_server.exceptions import CommandError, ServerError, describe
from plaintally_server.store import database as databases

DATABASE = "plaintally_server.database"
"""The key of a command's context under which its database is."""

_OUTPUT = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
"""The errors of a write to an open file; without a filename it is the standard output."""


@contextmanager
def reporting(context: click.Context | None = None) -> Iterator[None]:
    """Raise what a command, or reading its arguments, raises as an error of ours or click."""
    try:
        yield
    except (ServerError, click.ClickException, click.Abort, click.exceptions.Exit):
        raise
    except KeyboardInterrupt as error:  # click itself would write an empty line first
        raise click.Abort from error
    except Exception as error:
        if isinstance(error, OSError) and error.errno == errno.EPIPE:
            raise  # click ends quietly
        database = context.meta.get(DATABASE) if context else None
        raise CommandError(_explain(error, database)) from error


def _explain(error: Exception, database: databases.Database | None) -> str:
    if isinstance(error, databases.FAILURES):
        name = (
            "the database" if database is None else f"the database {databases.describe(database)}"
        )
        return databases.problem(f"cannot use {name}", error)
    if isinstance(error, OSError) and error.filename is None and error.errno in _OUTPUT:
        remedy = "make room where it is written to, and repeat the command"
        return f"cannot write the output ({error.strerror}); {remedy}"
    if isinstance(error, OSError):
        name = (
            "a file, or another machine" if error.filename is None else os.fsdecode(error.filename)
        )
        remedy = (
            databases.find_remedy(error)
            or "see that it is there, and that this user may read and write it"
        )
        return databases.problem(f"cannot use {name}", error, remedy)
    if isinstance(error, MemoryError):
        fact = "there is not enough memory for this command"
        return f"{fact}; free some, or raise the limit of its process"
    fact = f"the command failed unexpectedly ({describe(error)})"
    return f"{fact}; report this line as a mistake of plaintally-server"


def give_up_output() -> None:
    """Drop what cannot be written to the standard output, so that its end does not fail again."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
