"""Saved sessions: where `Session.save` writes and `Session.load` reads, and nothing else."""

import json
import os

from plaintally._files import remedy, write_file
from plaintally.exceptions import DocumentError
from plaintally.session import Session

MAX_BYTES = 256 * 1024 * 1024


def save(session: Session, path: "str | os.PathLike[str]") -> None:
    """See `Session.save`."""
    content = json.dumps(session.to_dict(), indent=1).encode()
    try:
        write_file(path, content, secret=True)
    except OSError as error:
        raise OSError(
            error.errno, f"{error.strerror}; {remedy(error, path)}", error.filename
        ) from error


def load(path: "str | os.PathLike[str]") -> Session:
    """See `Session.load`."""
    with open(path, "rb") as file:
        content = file.read(MAX_BYTES + 1)
    try:
        data = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DocumentError(f"{os.fspath(path)} holds no saved session: it is no JSON") from error
    return Session.from_dict(data)
