"""Writes a file whole or not at all."""

import os


def replace_file(path: "str | os.PathLike[str]", content: bytes, *, mode: int) -> None:
    """Put a file in the place of what stands at `path`; what stood there still does where that fails.

    Args:
        path: where; a link there is replaced.
        content: all of it.
        mode: the permissions, less what the umask takes away.

    Raises:
        OSError: it cannot be written.
    """
    temporary = f"{os.fspath(path)}.{os.urandom(8).hex()}.new"  # that of a process that was killed is not in our way
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
