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


def see_at_terminal(
    command: Sequence[str], *, env: Mapping[str, str], cwd: Path, typed: str = ""
) -> str:
    """Run a program with a terminal at its standard streams; return what a person sees.

    What is typed is typed once the program has printed something, which it does when it asks.
    """
    controller, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    process = subprocess.Popen(
        command,
        env=env,
        cwd=cwd,
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
    )
    os.close(terminal)
    seen = b""
    while select.select([controller], [], [], 30)[0]:
        try:
            seen += os.read(controller, 4096)
            if typed and seen.endswith(b": "):
                os.write(controller, typed.encode())
                typed = ""
        except OSError:  # the terminal is gone with the process
            break
    os.close(controller)
    assert process.wait() == 0
    return seen.decode().replace("\r\n", "\n")
