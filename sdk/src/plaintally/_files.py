"""Writes a file whole or not at all."""

import errno
import os


def replace_file(path: "str | os.PathLike[str]", content: bytes, *, mode: int) -> None:
    """Put a file in the place of what stands at `path`; what stood there still does where that fails.

    Args:
        path: where; a link there is replaced.
        content: all of it.
        mode: the permissions, less what the umask takes away.

    Raises:
        OSError: it cannot be written, or `path` is not a regular file.
    """
    if os.path.exists(path) and not os.path.isfile(path):  # root could replace a device
        number = errno.EISDIR if os.path.isdir(path) else errno.EINVAL
        raise OSError(number, os.strerror(number), os.fspath(path))
    temporary = f"{os.fspath(path)}.{os.urandom(8).hex()}.new"  # that of a process that was killed is not in our way
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), mode)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            try:
                os.unlink(temporary)
            except OSError:
                pass
            raise
    except OSError as error:
        raise OSError(error.errno, error.strerror, os.fspath(path)) from error  # the caller knows no other path


def remedy(error: OSError, path: "str | os.PathLike[str]") -> str:
    """Return what a person can do if a file could not be written."""
    folder = os.path.dirname(os.path.abspath(path))
    if error.errno == errno.ENOENT and os.path.exists(folder):
        return f"{folder} takes no such file; name another file"
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"make the folder {folder} writable, or name another file"
    remedies = {
        errno.ENOENT: f"create the folder {folder}, or name another file",
        errno.EISDIR: "name a file instead of a folder",
        errno.ENOSPC: "make room on the disk, or name a file on another one",
        errno.EDQUOT: "raise the quota or a limit (ulimit -f), or name a file on another disk",
        errno.EFBIG: "raise the quota or a limit (ulimit -f), or name a file on another disk",
        errno.EROFS: "name a file on another disk",
    }
    return remedies.get(error.errno or 0, "name another file")
