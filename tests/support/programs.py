"""Programs that tests run in processes of their own."""

from hosts import ROOT


def program(name: str) -> str:
    """Return the text of a file in tests/system/programs."""
    return (ROOT / f"tests/system/programs/{name}.py").read_text()
