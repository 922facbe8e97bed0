"""Programs that tests run in processes of their own."""

import re
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "system/programs"


def program(name: str, **words: object) -> str:
    """Return the text of a file in tests/system/programs.

    Args:
        name: the name of the file, without its ending.
        words: what stands in the place of words of the text, such as `ENDPOINT`.
    """
    text = (FOLDER / f"{name}.py").read_text()
    for word, value in words.items():
        assert re.search(rf"\b{word}\b", text), f"{name} has no {word}"
        text = re.sub(rf"\b{word}\b", lambda _, value=value: str(value), text)  # type: ignore[misc]
    return text
