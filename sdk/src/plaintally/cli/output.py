"""What the command `plaintally` prints, which is never anything that a terminal would obey."""

import sys

from plaintally.printable import printable


def say(text: object, *, lines: bool = False, error: bool = False) -> None:
    """Print a line; with `lines`, newlines stay, so foreign texts must have none."""
    print(printable(str(text), lines=lines), file=sys.stderr if error else sys.stdout)


def write(text: str) -> None:
    """Write several lines as they are, but for what is not printable."""
    sys.stdout.write(printable(text, lines=True))
