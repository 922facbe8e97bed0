"""Writes files that the user names: regular files atomically, devices and pipes in place.

A regular file gets its content by a rename, so that a failure leaves the old content. The link that
leads to it stays, and so do its owner and, unless the content is secret, its permissions. Another
hard link keeps the old content.
"""

import errno
import os
import stat

_STREAMS = {"/dev/stdout": 1, "/dev/stderr": 2}


def write_file(path: "str | os.PathLike[str]", content: bytes, *, secret: bool) -> None:
    """Write a file, following links as `open` does.

    Args:
        path: The file, a character device such as `/dev/null`, a pipe, or `/dev/stdout`.
        content: All of the content.
        secret: Whether only the file's owner may read it.

    Raises:
        OSError: The file cannot be written; a regular file has not changed.
    """
    given = os.fsdecode(path)
    try:
        _write(given, content, secret=secret)
    except OSError as error:
        # the caller knows no other path
        raise OSError(error.errno, error.strerror, given) from error


def _write(path: str, content: bytes, *, secret: bool) -> None:
    if path and not os.path.basename(path):
        raise _failure(errno.EISDIR)
    found = None
    try:
        found = os.stat(path)
    except FileNotFoundError:  # perhaps a link to a file that is still to be made
        if not path:
            raise
    kind = found.st_mode if found is not None else stat.S_IFREG
    if path in _STREAMS:  # opened by its path, a regular file would begin at its first byte again
        descriptor = os.dup(_STREAMS[path])
    elif stat.S_ISCHR(kind) or stat.S_ISFIFO(kind):
        descriptor = os.open(path, os.O_WRONLY | getattr(os, "O_NOCTTY", 0))
    elif stat.S_ISREG(kind):
        _replace(os.path.realpath(path), content, found=found, secret=secret)
        return
    else:
        raise _failure(errno.EISDIR if stat.S_ISDIR(kind) else errno.EINVAL)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)


def _replace(path: str, content: bytes, *, found: "os.stat_result | None", secret: bool) -> None:
    """Put a new file in the place of a regular one; `path` has no links in it."""
    folder = os.path.dirname(path)
    if found is not None:
        _check_replaceable(path, found, os.stat(folder))
    # Short, however long the name is.
    temporary = os.path.join(folder, f".plaintally-{os.urandom(8).hex()}.new")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    descriptor = os.open(temporary, flags, 0o600 if secret else 0o666)
    try:
        with os.fdopen(descriptor, "wb") as file:
            if found is not None and hasattr(os, "fchown"):
                _resemble(descriptor, found, secret=secret)
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        os.replace(temporary, path)
    except BaseException:
        try:
            os.unlink(temporary)
        except OSError:
            pass
        raise


def _check_replaceable(path: str, found: os.stat_result, folder: os.stat_result) -> None:
    """Raise where `open` would, since a rename would replace a read-only or foreign file."""
    is_shared = folder.st_mode & stat.S_ISVTX and folder.st_mode & stat.S_IWOTH
    is_foreign = hasattr(os, "geteuid") and found.st_uid not in (os.geteuid(), folder.st_uid)
    if not os.access(path, os.W_OK) or (is_shared and is_foreign):
        raise _failure(errno.EACCES)


def _resemble(descriptor: int, found: os.stat_result, *, secret: bool) -> None:
    """Give a new file the owner of the old one, which root can, and its permissions."""
    made = os.fstat(descriptor)
    if (made.st_uid, made.st_gid) != (found.st_uid, found.st_gid):
        try:
            os.fchown(descriptor, found.st_uid, found.st_gid)
        except OSError:
            pass
    if not secret:
        os.fchmod(descriptor, found.st_mode & 0o777)


def _failure(number: int) -> OSError:
    return OSError(number, os.strerror(number))


def remedy(error: OSError, path: "str | os.PathLike[str]") -> str:
    """Return what a person can do if a file could not be written."""
    path = os.path.realpath(os.fsdecode(path))
    folder = os.path.dirname(path)
    if error.errno == errno.ENOENT and os.path.exists(folder):
        return f"{folder} takes no such file; name another file"
    if error.errno in (errno.EACCES, errno.EPERM):
        is_closed = os.path.exists(path) and not os.access(path, os.W_OK)
        what = path if is_closed else f"the folder {folder}"
        return f"make {what} writable, or name another file"
    if error.errno in (errno.EDQUOT, errno.EFBIG):
        return "raise the quota or a limit (ulimit -f), or name a file on another disk"
    remedies = {
        errno.ENOENT: f"create the folder {folder}, or name another file",
        errno.EISDIR: "name a file instead of a folder",
        errno.ENOSPC: "make room on the disk, or name a file on another one",
        errno.EROFS: "name a file on another disk",
    }
    return remedies.get(error.errno or 0, "name another file")
