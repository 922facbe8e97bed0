"""A collector takes the names of packages that the SDK sends, and no others."""

import click
import pytest

from plaintally_server.admin.contracts import read_contract
from plaintally_server.cli.options import check_packages
from plaintally_server.exceptions import StartError


@pytest.mark.parametrize("name", ["", "paqu\u00e9", "Rx", "_rx", "1rx", "rx-infer", "r" * 65])
def test_a_name_that_no_import_has_is_rejected(name: str) -> None:
    with pytest.raises(click.BadParameter):
        check_packages((name,))
    with pytest.raises(StartError):
        read_contract(f'{{"package": "{name}"}}'.encode(), "contract.json")


def test_a_name_that_imports_have_is_taken() -> None:
    assert check_packages(("rx_infer2",)) == ("rx_infer2",)
    assert read_contract(b'{"package": "rx_infer2"}', "contract.json")[0] == "rx_infer2"
