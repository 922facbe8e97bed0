"""JSON Schemas of Firestore's values, made from the limits of a rule or a contract. Pure.

They are of draft 2020-12, as in OpenAPI 3.1. The components that they refer to (`Timestamp`,
`Fields`) are in `api/openapi.json`. What they rule out is rejected. What they allow may still be
rejected by a rule that no schema can express, such as the days of a month.
"""

from collections.abc import Callable, Mapping
from typing import Any

from plaintally.contract import Kind

Schema = Mapping[str, Any]
_INT64 = 2**63


def refer(name: str) -> Schema:
    """A reference to a schema among the components."""
    return {"$ref": f"#/components/schemas/{name}"}


def one_kind(kind: str, content: Schema) -> Schema:
    """A value of one kind."""
    return {
        "type": "object",
        "properties": {kind: content},
        "required": [kind],
        "additionalProperties": False,
    }


def text(**limits: Any) -> Schema:  # noqa: ANN401  # keywords of JSON Schema
    """A stringValue."""
    return one_kind("stringValue", {"type": "string", **limits})


def whole(minimum: int = -_INT64, maximum: int = _INT64 - 1) -> Schema:
    """An integerValue: a number, or its digits in a string."""
    sign = "-?" if minimum < 0 else "-?0{1,19}|"
    content = {"type": ["integer", "string"], "minimum": minimum, "maximum": maximum}
    return one_kind("integerValue", {**content, "pattern": f"^({sign}[0-9]{{1,19}})$"})


def real(minimum: float | None = None, maximum: float | None = None) -> Schema:
    """A doubleValue: a number, or "-0"."""
    limits = {"minimum": minimum, "maximum": maximum}
    given = {name: limit for name, limit in limits.items() if limit is not None}
    return one_kind("doubleValue", {"anyOf": [{"type": "number", **given}, {"enum": ["-0"]}]})


def mapping(fields: Schema) -> Schema:
    """A mapValue; one without fields is empty."""
    return one_kind("mapValue", optional({"fields": {"anyOf": [fields, {"type": "null"}]}}))


def sequence(items: Schema, **limits: Any) -> Schema:  # noqa: ANN401  # keywords of JSON Schema
    """An arrayValue; one without values is empty."""
    return one_kind(
        "arrayValue", optional({"values": {"type": ["array", "null"], "items": items, **limits}})
    )


def exactly(fields: Mapping[str, Schema]) -> Schema:
    """The fields of a document that has these and no others."""
    return {**optional(fields), "required": list(fields)}


def optional(properties: Mapping[str, Schema]) -> Schema:
    """An object that may have these members and no others."""
    return {"type": "object", "properties": dict(properties), "additionalProperties": False}


TIME = one_kind("timestampValue", refer("Timestamp"))


def schema_of(kind: Kind) -> Schema:
    """What a contract declares of a value in the context of an invoke."""
    arguments = kind.to_dict()
    purpose = arguments.pop("purpose")
    return {
        **_BY_KIND[type(kind).__name__](arguments),
        **({"description": purpose} if purpose else {}),
    }


_BY_KIND: Mapping[str, Callable[[Mapping[str, Any]], Schema]] = {
    "Flag": lambda _: one_kind("booleanValue", {"type": "boolean"}),
    "Integer": lambda limits: whole(**limits),
    "Real": lambda limits: real(**limits),
    "Choice": lambda limits: text(enum=limits["values"]),
    "Name": lambda limits: text(maxLength=limits["max_length"]),
    "Description": lambda _: mapping(refer("Fields")),
    "ErrorType": lambda _: mapping(refer("Fields")),
    "ErrorMessage": lambda limits: text(maxLength=limits["max_length"]),
    "Source": lambda limits: text(maxLength=limits["max_length"]),
}
