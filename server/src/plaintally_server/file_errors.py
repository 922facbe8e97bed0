"""What a person can do if a file cannot be written."""

import errno
import os
from pathlib import Path

_NUMBERS = {
    "FULL": errno.ENOSPC,
    "READONLY": errno.EACCES,
    "CANTOPEN": errno.EACCES,
    "IOERR_WRITE": errno.EFBIG,
    "IOERR_SHMSIZE": errno.EFBIG,
}
"""What the system's error was if SQLite raises SQLITE_FULL or the like."""
GROW = "see that no full disk, quota or limit (ulimit -f) keeps it from growing"


def remedy(error: Exception, path: Path, *, otherwise: str = "name another file") -> str:
    """Return what to do about an error from writing `path`, or a file beside it."""
    number = _number(error)
    parent = path.absolute().parent
    folder = next(place for place in (parent, *parent.parents) if os.path.exists(place))  # noqa: PTH110  # never raises
    if number == errno.ENOENT:
        missing = f"create the folder {parent}"
        return missing if folder != parent else f"{folder} takes no such file; {otherwise}"
    if number != errno.EROFS and os.path.exists(path) and not os.access(path, os.W_OK):  # noqa: PTH110
        return f"make {path} writable (see `lsattr`), or {otherwise}"
    remedies = {
        errno.EACCES: f"make the folder {folder} writable, or {otherwise}",
        errno.EPERM: f"make the folder {folder} writable, or {otherwise}",
        errno.ENOTDIR: f"{folder} is not a folder; {otherwise}",
        errno.EISDIR: f"move {getattr(error, 'filename', None) or path} away, or {otherwise}",
        errno.EROFS: f"{folder} is on a disk that cannot be written; {otherwise}",
        errno.ENOSPC: f"make room on the disk of {folder}, or {otherwise}",
        errno.EDQUOT: f"{GROW}, or {otherwise}",
        errno.EFBIG: f"{GROW}, or {otherwise}",
    }
    return remedies.get(number, otherwise)


def _number(error: Exception) -> int:
    cause = getattr(error, "orig", None) or error
    # Such as SQLITE_READONLY_DIRECTORY.
    _, _, kind = getattr(cause, "sqlite_errorname", "").partition("_")
    return getattr(cause, "errno", None) or _NUMBERS.get(
        kind, _NUMBERS.get(kind.partition("_")[0], 0)
    )
