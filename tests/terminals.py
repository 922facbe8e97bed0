"""Programs at a real terminal."""

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
from collections.abc import Mapping, Sequence
from pathlib import Path


def see_at_terminal(command: Sequence[str], *, env: Mapping[str, str], cwd: Path) -> str:
    """Run a program with a terminal at its standard streams; return what a person sees."""
    controller, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    process = subprocess.Popen(command, env=env, cwd=cwd, stdin=terminal, stdout=terminal, stderr=terminal)
    os.close(terminal)
    seen = b""
    while select.select([controller], [], [], 30)[0]:
        try:
            seen += os.read(controller, 4096)
        except OSError:  # the terminal is gone with the process
            break
    os.close(controller)
    assert process.wait() == 0
    return seen.decode().replace("\r\n", "\n")
