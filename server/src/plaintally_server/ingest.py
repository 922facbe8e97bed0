"""Whether a document may be stored: by the contract of its package, and by nothing else. Pure."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from plaintally.contract import Contract
from plaintally_server.exceptions import forbidden, invalid
from plaintally_server.resource import Fields

COUNTER_PREFIX = "using_"
_COARSE = {
    "package_version": re.compile(r"[0-9A-Za-z.+!_-]{1,64}"),
    "python_version": re.compile(r"[0-9]{1,2}\.[0-9]{1,3}"),
}
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class Admitted(NamedTuple):
    """A document that may be stored: its fields, its package, and the id that is counted once."""

    fields: Fields
    package: str
    counted_id: UUID


def find_package(collection: str, contracts: Mapping[str, Contract]) -> str:
    """The package whose imports a collection counts.

    Raises:
        Refusal: there is no such contract here.
    """
    package = collection.removeprefix(COUNTER_PREFIX)
    if package == collection or package not in contracts:
        raise forbidden("Missing or insufficient permissions: no contract here has such a collection.")
    return package


def admit(collection: str, fields: Fields, contracts: Mapping[str, Contract]) -> Admitted:
    """Admit a document to a collection.

    Raises:
        Refusal: the contract does not have such a document.
    """
    package = find_package(collection, contracts)
    declared = contracts[package].counter_fields
    if set(fields) != set(declared):
        unknown, missing = sorted(set(fields) - set(declared)), sorted(set(declared) - set(fields))
        wrong = f"{len(unknown)} unknown" if unknown else f"{', '.join(missing)} missing"
        raise invalid(f"A document of {collection} has exactly the fields {', '.join(declared)}; there is {wrong}.")
    identifier = fields["id"]
    if not isinstance(identifier, str) or not _UUID.fullmatch(identifier):
        raise invalid("The field id must be a stringValue with a UUID such as 9eb898b5-76a4-49b0-b1b6-ba209ba39adf.")
    if not isinstance(fields["timestamp"], datetime):
        raise invalid("The field timestamp must be a timestampValue.")
    for name in contracts[package].counter:
        value = fields[name]
        if not isinstance(value, str) or not _COARSE[name].fullmatch(value):
            raise invalid(f"The field {name} must be a stringValue that matches {_COARSE[name].pattern}.")
    return Admitted(fields, package, UUID(identifier))
