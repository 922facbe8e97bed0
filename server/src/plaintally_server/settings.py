"""The settings of a collector. Where they come from (environment, file, defaults) is up to `cli`."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from plaintally.contract import Contract
from plaintally.exceptions import ContractError
from plaintally_server.exceptions import StartError


class Settings(NamedTuple):
    """How a collector runs.

    `contracts` says by package what may be kept; `token` lets a maintainer read (nobody reads where it is None);
    `body_limit` is in bytes; `queue_size` is the number of writes that may wait for the disk.
    """

    contracts: Mapping[str, Contract]
    database: Path = Path("plaintally.sqlite3")
    host: str = "127.0.0.1"
    port: int = 8080
    token: str | None = None
    body_limit: int = 65_536
    queue_size: int = 10_000


def load_contract(path: Path) -> tuple[str, Contract]:
    """The package and the contract in a JSON file, `{"package": NAME, "counter": [FIELDS]}`.

    Raises:
        StartError: the file cannot be read, or holds no contract.
    """
    try:
        data = msgspec.json.decode(path.read_bytes(), type=dict[str, str | list[str]])
        package = data.pop("package", None)
        if not isinstance(package, str) or not package.isidentifier() or package != package.lower():
            raise StartError(f'the contract {path} must name its package in lower case, such as "package": "rxinfer"')
        return package, Contract.from_dict(data)
    except (OSError, ContractError, msgspec.MsgspecError) as error:
        raise StartError(f"the contract {path} cannot be used ({error}); mend the file or leave it out") from error
