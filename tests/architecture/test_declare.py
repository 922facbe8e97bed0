"""The how-to for authors, run as an author would: its package, its use, its commands."""

import re

from hosts import ROOT, MakeHost
from plaintally.contract.fields import KINDS

PAGE = (ROOT / "docs/howto/declare.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_the_example_does_what_the_page_says(author_host: MakeHost) -> None:
    author = author_host()
    package, use = blocks("python")
    folder = author.folder / "mypackage"
    folder.mkdir()
    (folder / "__init__.py").write_text(package)
    used = author.run(use, env={"LOG_USING_MYPACKAGE": "off"})
    assert used.stderr == b""
    assert [used.stdout.decode()] == blocks("text")
    for command in re.findall(r"^    plaintally (.*)$", PAGE, re.MULTILINE):
        done = author.plaintally(*command.split())
        assert (done.returncode, done.stderr) == (0, ""), command
    for session in blocks("console"):
        command, _, output = session.removeprefix("$ plaintally ").partition("\n")
        done = author.plaintally(*command.split())
        assert (done.returncode, done.stdout, done.stderr) == (0, output, ""), command
    assert (author.folder / "privacy.html").read_text().startswith("<!doctype html>")


def test_every_kind_is_documented() -> None:
    for kind in KINDS:
        assert f"| `{kind}(" in PAGE
