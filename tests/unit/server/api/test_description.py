"""The fixed part of the OpenAPI description states the limits that the code enforces."""

from typing import Any

import pytest

from plaintally.firestore import MAX_NAME_BYTES, MAX_STRING_BYTES
from plaintally_server.api.openapi import describe
from plaintally_server.api.parameters import CREATE, DELETE, GET, LIST, PATCH
from plaintally_server.firestore.documents import MAX_ID_BYTES
from plaintally_server.firestore.field_paths import MAX_PATHS, PATH
from plaintally_server.firestore.reads import MAX_PAGE_SIZE, PAGE_SIZE
from plaintally_server.ingest.admission import Policy

COMPONENTS: Any = describe(Policy({}), version="1")["components"]
PARAMETERS = COMPONENTS["parameters"]
SCHEMAS = COMPONENTS["schemas"]


@pytest.mark.parametrize(
    ("stated", "enforced"),
    [
        (SCHEMAS["FieldPaths"]["maxItems"], MAX_PATHS),
        (SCHEMAS["FieldPaths"]["items"]["pattern"], f"^({PATH.pattern})$"),
        (SCHEMAS["Id"]["maxLength"], MAX_ID_BYTES),
        (SCHEMAS["Value"]["properties"]["stringValue"]["maxLength"], MAX_STRING_BYTES),
        (SCHEMAS["Fields"]["propertyNames"]["maxLength"], MAX_NAME_BYTES),
        (
            PARAMETERS["pageSize"]["description"],
            f"{PAGE_SIZE} unless told, at most {MAX_PAGE_SIZE}",
        ),
    ],
)
def test_a_stated_limit_is_the_enforced_one(stated: object, enforced: object) -> None:
    assert stated == enforced


def test_every_described_parameter_is_one_that_an_endpoint_accepts() -> None:
    assert set(PARAMETERS) - {"document"} <= CREATE | GET | LIST | PATCH | DELETE


def test_every_reference_leads_to_a_component() -> None:
    def references(value: object) -> set[str]:
        if isinstance(value, dict):
            own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
            return own.union(*map(references, value.values()))
        return set().union(*map(references, value)) if isinstance(value, list) else set()

    found = references(describe(Policy({}), version="1"))
    for reference in found:
        _, _, kind, name = reference.split("/")
        assert name in COMPONENTS[kind], reference
