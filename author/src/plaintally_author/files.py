"""Reading and writing the files that the command line names."""

import json
from pathlib import Path
from typing import Any

from plaintally.cli import remedy, write_file
from plaintally.contract import Contract
from plaintally.exceptions import ContractError, PlaintallyError

MAX_BYTES = 16 * 1024 * 1024


def write(path: str, text: str) -> None:
    """Write a regular file whole or not at all, following links; write into a device or pipe.

    Raises:
        PlaintallyError: The file cannot be written; a regular file has not changed.
    """
    try:
        write_file(path, text.encode(), secret=False)
    except OSError as error:
        reason = error.strerror or error
        raise PlaintallyError(f"cannot write {path} ({reason}); {remedy(error, path)}") from error


def read_contract(path: str) -> tuple[str, Contract]:
    """Return the package and the contract in an exported file.

    Raises:
        ContractError: The file cannot be read, or holds something else.
    """
    try:
        with Path(path).open("rb") as file:
            data: Any = json.loads(file.read(MAX_BYTES))
        package = data.pop("package")
        if isinstance(package, str):
            return package, Contract.from_dict(data)
    except OSError as error:
        raise ContractError(f"cannot read {path} ({error.strerror or error})") from error
    except ContractError as error:
        raise ContractError(f"{path} holds no contract of this version: {error}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        pass
    raise ContractError(
        f"{path} holds no contract; give a file that `plaintally contract export` wrote"
    )
