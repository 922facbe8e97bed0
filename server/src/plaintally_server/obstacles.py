"""What a person can do if a file cannot be written."""

import errno
from pathlib import Path

_NUMBERS = {"FULL": errno.ENOSPC, "READONLY": errno.EACCES, "CANTOPEN": errno.EACCES}
"""What the system's error was if SQLite raises SQLITE_FULL or the like."""


def remedy(error: Exception, path: Path, *, otherwise: str = "name another file") -> str:
    """Return what to do about an error that was raised when `path` was written."""
    folder = path.absolute().parent
    remedies = {
        errno.ENOENT: f"create the folder {folder}",
        errno.ENOTDIR: f"{folder} is not a folder; {otherwise}",
        errno.EACCES: f"make the folder {folder} writable, or {otherwise}",
        errno.EPERM: f"make the folder {folder} writable, or {otherwise}",
        errno.EROFS: f"{folder} is on a disk that cannot be written; {otherwise}",
        errno.ENOSPC: f"make room on the disk of {folder}, or {otherwise}",
        errno.EDQUOT: f"make room on the disk of {folder}, or {otherwise}",
        errno.EFBIG: f"raise the limit on the size of files, or {otherwise}",
    }
    return remedies.get(_number(error), otherwise)


def _number(error: Exception) -> int:
    cause = getattr(error, "orig", None) or error
    _, _, kind = getattr(cause, "sqlite_errorname", "").partition("_")  # such as SQLITE_READONLY_DIRECTORY
    return getattr(cause, "errno", None) or _NUMBERS.get(kind.partition("_")[0], 0)
