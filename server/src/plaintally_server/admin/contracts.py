"""The contracts that a collector enforces: in files, in the database, or empty for a bare name."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from plaintally.contract import Contract, is_name
from plaintally.exceptions import ContractError
from plaintally_server.exceptions import StartError
from plaintally_server.ingest.rxinfer import find_package
from plaintally_server.store.database import Database, describe, exists
from plaintally_server.store.maintenance import MaintenanceReader


def collect_contracts(
    database: Database, paths: Sequence[Path], packages: Sequence[str] = ()
) -> dict[str, Contract]:
    """Return the contracts by package: a file wins over the database, and that over a bare name.

    Raises:
        ServerError: a contract cannot be read, or the database cannot.
    """
    contracts = {package: Contract() for package in packages}
    for package, content, _ in MaintenanceReader(database).contracts() if exists(database) else ():
        _, contracts[package] = read_contract(content, f"of {package} in {describe(database)}")
    contracts.update(map(load_contract, paths))
    find_package(contracts)  # which rejects those that it cannot tell apart
    return contracts


def load_contract(path: Path) -> tuple[str, Contract]:
    """Return the package and the contract in a JSON file.

    Raises:
        StartError: the file cannot be read, or holds no contract.
    """
    try:
        return read_contract(path.read_bytes(), str(path))
    except OSError as error:
        raise _unusable(str(path), error.strerror) from error


def read_contract(content: bytes, place: str) -> tuple[str, Contract]:
    """Return the package and the contract in JSON, `{"package": NAME, **contract.to_dict()}`.

    Args:
        content: the JSON.
        place: where it stood, for the message of an error.

    Raises:
        StartError: it holds no contract.
    """
    try:
        data = msgspec.json.decode(content, type=dict[str, Any])
        package = data.pop("package", None)
        if not is_name(package) or package != package.lower():
            raise StartError(
                f"the contract {place} must name its package in lower case, "
                'such as "package": "rxinfer"'
            )
        return package, Contract.from_dict(data)
    except (ContractError, msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise _unusable(place, error) from error


def write_contract(package: str, contract: Contract) -> bytes:
    """Return the JSON that `read_contract` reads."""
    return msgspec.json.encode({"package": package, **contract.to_dict()})


def _unusable(place: str, reason: object) -> StartError:
    return StartError(f"the contract {place} cannot be used ({reason}); mend it or leave it out")
