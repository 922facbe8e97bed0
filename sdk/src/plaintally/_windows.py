"""Starts the detached sender where there is no sh: on Windows."""

import subprocess

# CREATE_NO_WINDOW, CREATE_NEW_PROCESS_GROUP, BELOW_NORMAL_PRIORITY_CLASS
_FLAGS = 0x0800_0000 | 0x200 | 0x4000


def spawn(command: "list[str]", job: bytes, environment: "dict[str, str]") -> bool:
    """Start a process with the job on its standard input; False where there can be none."""
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            creationflags=_FLAGS,
            env=environment,
        )
    except Exception:  # noqa: BLE001  # refused by the system, or by a hook, which may raise anything
        return False
    if process.stdin is not None:
        process.stdin.write(job)
        process.stdin.close()
    process.returncode = 0  # nobody waits for it, and Popen must not warn about that
    return True
