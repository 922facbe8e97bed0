"""The file system of a database, as Linux reports it, and whether SQLite can rely on it.

SQLite relies on locks between processes, on memory that processes share, and on an fsync that
reaches the disk. Network file systems lack at least one of them, see
https://www.sqlite.org/useovernet.html and https://www.sqlite.org/wal.html.
"""

import re
from collections.abc import Iterator
from pathlib import Path

NETWORK = frozenset(
    {"9p", "afs", "ceph", "cifs", "fuse.glusterfs", "fuse.s3fs", "fuse.sshfs", "lustre", "ncpfs"}
    | {"nfs", "nfs4", "smb3", "smbfs", "vboxsf", "virtiofs"}
)
"""File systems whose locks or shared memory fail between machines, or host and guest."""
PASSING = frozenset({"overlay", "ramfs", "tmpfs"})
"""File systems whose content ends with the machine or the container."""
_MOUNTS = Path("/proc/self/mountinfo")
_POINT = 4  # the field of the place that something is mounted on
_OCTAL = re.compile(r"\\([0-7]{3})")


def find_type(folder: Path, mounts: str | None = None) -> str | None:
    r"""Return the type of a folder's file system, such as `ext4`; None if the system does not say.

    Args:
        folder: an existing folder.
        mounts: the content of /proc/self/mountinfo (see proc(5)); by default it is read.

    Example:
        >>> mounts = "36 35 0:3 / / rw - ext4 a rw\n40 36 0:5 / /srv rw - nfs4 b rw\n"
        >>> find_type(Path("/srv/data"), mounts)
        'nfs4'
    """
    found = None
    deepest = -1
    for point, kind in _read_mounts(mounts):
        depth = len(point.parts)
        if depth >= deepest and folder.is_relative_to(point):
            # Of two at one place, the later hides the earlier.
            found = kind
            deepest = depth
    return found


def is_mount_point(path: Path) -> bool:
    """Return whether something is mounted on a path; False if the system does not say."""
    resolved = path.resolve()
    return any(point == resolved for point, _ in _read_mounts())


def _read_mounts(mounts: str | None = None) -> Iterator[tuple[Path, str]]:
    """Yield where each file system is mounted, and its type."""
    if mounts is None:
        try:
            mounts = _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape")
        except OSError:
            return
    for line in mounts.splitlines():
        place, separator, rest = line.partition(" - ")
        fields = place.split(" ")
        if separator and len(fields) > _POINT:
            point = _OCTAL.sub(lambda match: chr(int(match[1], 8)), fields[_POINT])
            yield Path(point), rest.split(" ")[0]
