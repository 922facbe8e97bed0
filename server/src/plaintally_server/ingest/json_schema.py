"""JSON Schemas of Firestore's values, as far as a schema can tell what is taken. Pure.

They are of draft 2020-12, which OpenAPI 3.1 has. What they refuse is refused; what they let pass
may still be refused by a rule that no schema tells, such as the levels of a document or the days of
a month.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from plaintally.contract import Kind
from plaintally.firestore import MAX_NAME_BYTES, MAX_STRING_BYTES

Schema = Mapping[str, Any]
_INT64 = 2**63
_DEGREES = {"latitude": 90, "longitude": 180}


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


def real(
    minimum: float | None = None, maximum: float | None = None, *, words: Sequence[str] = ("-0",)
) -> Schema:
    """A doubleValue: a number, or one of the words for what JSON cannot write."""
    limits = {"minimum": minimum, "maximum": maximum}
    number = {
        "type": "number",
        **{name: limit for name, limit in limits.items() if limit is not None},
    }
    return one_kind("doubleValue", {"anyOf": [number, {"enum": list(words)}]})


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


def items(schema: Schema) -> Schema:
    """A JSON array of these."""
    return {"type": "array", "items": schema}


TEXT: Schema = {"type": "string"}
_DAY = "(?!0000)[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
_CLOCK = "([01][0-9]|2[0-3]):[0-5][0-9]"
TIMESTAMP: Schema = {
    "type": "string",
    "pattern": rf"^{_DAY}[Tt]{_CLOCK}:[0-5][0-9](\.[0-9]{{1,9}})?([Zz]|[+-]{_CLOCK})$",
    "examples": ["2026-11-23T20:15:30.123456Z"],
}
_DOCUMENT_NAME = "^projects/[^/]+/databases/[^/]+/documents(/[^/]+/[^/]+)+$"
TIME = one_kind("timestampValue", TIMESTAMP)
VALUE_KINDS = (
    one_kind("nullValue", {"enum": [None, "NULL_VALUE", 0]}),
    one_kind("booleanValue", {"type": "boolean"}),
    whole(),
    real(words=("NaN", "Infinity", "-Infinity", "-0")),
    TIME,
    text(maxLength=MAX_STRING_BYTES),
    one_kind("bytesValue", {"type": "string", "pattern": "^[A-Za-z0-9+/_-]*={0,2}$"}),
    one_kind("referenceValue", {"type": "string", "pattern": _DOCUMENT_NAME}),
    one_kind(
        "geoPointValue",
        optional(
            {
                name: {"type": ["number", "null"], "minimum": -limit, "maximum": limit}
                for name, limit in _DEGREES.items()
            }
        ),
    ),
    sequence(refer("Value")),
    mapping(refer("Fields")),
)
COMPONENTS: Mapping[str, Schema] = {
    "Value": {
        "description": "A value has exactly one kind. Kinds are also read in snake_case, 20 arrays "
        "and maps deep; an array stands in no array but within a map.",
        "type": "object",
        "properties": {
            kind: content for value in VALUE_KINDS for kind, content in value["properties"].items()
        },
        "minProperties": 1,
        "maxProperties": 1,
        "additionalProperties": False,
    },
    "Fields": {
        "description": (
            f"Values by name. A name has 1 to {MAX_NAME_BYTES} bytes and is not in double "
            "underscores."
        ),
        "type": "object",
        "propertyNames": {"minLength": 1, "maxLength": MAX_NAME_BYTES},
        "additionalProperties": refer("Value"),
    },
}


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
