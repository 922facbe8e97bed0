"""Imports: whether one is admitted, and what is kept of it. Pure.

An import has the fields that its package's contract declares. It may lack versions, as imports of
older releases do.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from hashlib import blake2b

from msgspec import json

from plaintally.contract import Contract
from plaintally_server.exceptions import Refusal, invalid
from plaintally_server.firestore.documents import Name
from plaintally_server.firestore.field_paths import Fields
from plaintally_server.ingest import rxinfer
from plaintally_server.ingest.coarse import coarsen
from plaintally_server.ingest.collections import COUNTER_PREFIX
from plaintally_server.ingest.rules import COARSE_PATTERNS, check_names
from plaintally_server.model import Admitted, Counted

ANY_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
ID_BYTES = 16
"""How much is kept of the hash of an import's id."""


def admit_import(
    name: Name, fields: Fields, contracts: Mapping[str, Contract], *, is_dialect: bool
) -> Admitted:
    """Admit an import.

    Raises:
        Refusal: its fields are not those of the contract.
    """
    collection = name.collection
    package = collection.removeprefix(COUNTER_PREFIX)
    if not is_dialect:
        check_names(
            collection,
            fields,
            contracts[package].counter_fields,
            optional=contracts[package].counter,
        )
    identifier = fields["id"]
    if not isinstance(identifier, str) or not ANY_UUID.fullmatch(identifier):
        raise invalid(
            "The field id must be a stringValue with a UUID such as "
            "9eb898b5-76a4-49b0-b1b6-ba209ba39adf."
        )
    if not isinstance(fields["timestamp"], datetime):
        raise invalid("The field timestamp must be a timestampValue.")
    for field in contracts[package].counter:
        if field not in fields:  # an older release may have declared less
            continue
        value = fields[field]
        if not isinstance(value, str) or not COARSE_PATTERNS[field].fullmatch(value):
            raise invalid(
                f"The field {field} must be a stringValue that matches "
                f"{COARSE_PATTERNS[field].pattern}."
            )
    coarse = write_coarse(fields, is_dialect=is_dialect)
    return Admitted(fields, package, make_counted(package, identifier, name.document, coarse))


def make_counted(package: str, identifier: str, document: str | None, coarse: str) -> Counted:
    """Return what is kept of an import.

    Args:
        package: the package.
        identifier: the field id, a UUID.
        document: the name of the document, None if the client chose none.
        coarse: see `Counted`.
    """
    lower = identifier.lower()
    name = None if document is None or document == lower else hash_import(package, document)
    return Counted(hash_import(package, lower), name, coarse)


def write_coarse(fields: Fields, *, is_dialect: bool) -> str:
    """Return the coarse fields of an import as a JSON object, in the order of their names."""
    if is_dialect:
        coarse = rxinfer.coarse_fields(fields)
    else:
        coarse = {field: fields[field] for field in sorted(COARSE_PATTERNS) if field in fields}
    return json.encode(coarsen(coarse)).decode()


def hash_import(package: str, name: str) -> bytes:
    """Return 16 bytes that stand for the id, or the name, of an import of a package."""
    return blake2b(f"{package}/{name}".encode(), digest_size=ID_BYTES).digest()


def no_documents() -> Refusal:
    """Return the answer to a request that takes imports for documents which are kept."""
    return Refusal(
        501,
        "UNIMPLEMENTED",
        "Imports are counted and not kept as documents. "
        "Read their totals on the package's page, or with `plaintally-server report`.",
    )
