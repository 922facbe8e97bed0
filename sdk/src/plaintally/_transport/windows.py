"""What the sender needs on Windows, where there is neither sh nor flock."""

# CREATE_NO_WINDOW, CREATE_NEW_PROCESS_GROUP, BELOW_NORMAL_PRIORITY_CLASS
_FLAGS = 0x0800_0000 | 0x200 | 0x4000
_SHARE_ALL = 0x7  # others may read, replace and remove the file meanwhile
_BEYOND_THE_END = 1 << 30  # other programs cannot read bytes that are locked


def spawn(command: "list[str]", job: bytes, environment: "dict[str, str]") -> None:
    """Start a process with the job on its standard input, if that is possible."""
    import subprocess

    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            creationflags=_FLAGS,
            env=environment,
        )
        process.returncode = 0  # it is not waited for, and Popen must not warn about that
        if process.stdin is not None:
            with process.stdin:
                process.stdin.write(job)
    except Exception:  # noqa: BLE001, S110  # refused by the system or a hook
        pass


def lock(path: str) -> None:
    """Lock a file until this process ends.

    Raises:
        PermissionError: another process has locked it.
    """
    import os
    import sys

    if sys.platform == "win32":
        import _winapi
        import msvcrt

        handle = _winapi.CreateFile(
            path, _winapi.GENERIC_READ, _SHARE_ALL, 0, _winapi.OPEN_EXISTING, 0, 0
        )
        descriptor = msvcrt.open_osfhandle(handle, os.O_RDONLY)
        os.lseek(descriptor, _BEYOND_THE_END, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
