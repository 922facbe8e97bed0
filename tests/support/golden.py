"""Texts that tests compare with files: in the folder `golden` beside a test, and rewritten with
`--update-golden`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Golden:
    """The golden files of one test module."""

    folder: Path
    is_updating: bool

    def check(
        self, name: str, text: str, varying: Mapping[str, str] = {}, *, by_words: bool = False
    ) -> None:
        """Compare a text with a file, or write the file.

        Args:
            name: the name of the file.
            text: what a program printed.
            varying: regular expressions of what differs from run to run, and what the file has in
                its place.
            by_words: whether the widths of columns may differ, as between versions of Python.
        """
        for pattern, place in varying.items():
            text = re.sub(pattern, place, text)
        path = self.folder / name
        if self.is_updating:
            self.folder.mkdir(exist_ok=True)
            path.write_text(text)
        expected = path.read_text()
        if by_words:
            assert text.split() == expected.split()
        else:
            assert text == expected
