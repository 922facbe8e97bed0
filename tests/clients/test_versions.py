"""The page that tells which clients pass is held against the ones that do."""

import json
import re
from importlib.metadata import version
from pathlib import Path

import pytest

from hosts import ROOT
from plaintally.contract import DIALECTS
from plaintally_server.exceptions import CODES
from plaintally_server.ingest import rxinfer

PAGE = (ROOT / "docs/reference/firestore.md").read_text()
CLIENTS = dict(re.findall(r"^\| ([@\w/.-]+) \| (\d+(?:\.\d+)+) \|", PAGE, re.MULTILINE))


def test_the_clients_are_those_of_the_tests() -> None:
    pinned = json.loads((Path(__file__).parent / "package.json").read_text())["dependencies"]
    assert set(CLIENTS) == {
        "google-api-python-client",
        "google-cloud-firestore",
        "RxInfer.jl",
        *pinned,
    }
    for name, number in pinned.items():
        assert CLIENTS[name] == number


@pytest.mark.libraries
def test_the_python_clients_are_those_that_are_installed() -> None:
    for name in ("google-api-python-client", "google-cloud-firestore"):
        assert CLIENTS[name] == version(name)


def test_everything_is_on_the_page() -> None:
    for status in set(CODES) - {"INTERNAL", "RESOURCE_EXHAUSTED"}:
        assert f"`{status}`" in PAGE
    for dialect in DIALECTS:
        assert f'"dialect": "{dialect}"' in PAGE
    for collection, fields in rxinfer.SHAPES.items():
        assert all(f"`{name}`" in PAGE for name in (collection, *fields))
    assert all(f"`{name}`" in PAGE for name in rxinfer.VERSIONS)
