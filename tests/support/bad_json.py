"""Bodies that are no JSON, or JSON that nobody means: each kind of wrong text at each place of a
right body."""

import copy
import json
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from battery import ANY, SECRET, Case
from collectors import ROOT, TIME
from shared import PREFIX

_ID = "9eb898b5-76a4-49b0-b1b6-ba209ba39adf"
_MARK = "@here@"
Text = Callable[[bytes], bytes]


class Endpoint(NamedTuple):
    """What reads a body, and a body that is right."""

    method: str
    path: str
    body: dict[str, Any]
    codes: tuple[int, ...] = (400,)


_COUNT = {"fields": {"id": {"stringValue": _ID}, "timestamp": {"timestampValue": TIME}}}
_VALUES: list[dict[str, Any]] = [
    {"stringValue": "x"},
    {"integerValue": "1"},
    {"doubleValue": 0.5},
    {"nullValue": None},
    {"geoPointValue": {"latitude": 1, "longitude": 2}},
]
_ANY_FIELDS = {
    "fields": {"a": {"mapValue": {"fields": {"b": {"arrayValue": {"values": _VALUES}}}}}}
}
_UPDATE = {"name": f"{PREFIX}/cities/json", **_ANY_FIELDS}
_WRITE = {
    "update": _UPDATE,
    "updateMask": {"fieldPaths": ["a"]},
    "currentDocument": {"exists": False},
}
_FILTER = {
    "fieldFilter": {"field": {"fieldPath": "a"}, "op": "EQUAL", "value": {"integerValue": 1}}
}
_QUERY = {
    "from": [{"collectionId": "cities"}],
    "where": {"compositeFilter": {"op": "AND", "filters": [_FILTER]}},
    "orderBy": [{"field": {"fieldPath": "a"}, "direction": "DESCENDING"}],
    "startAt": {"values": [{"stringValue": "a"}], "before": True},
    "limit": 5,
}
ENDPOINTS = {
    "create": Endpoint("POST", f"{ROOT}/using_rxinfer?documentId=json", _COUNT),
    "patch": Endpoint("PATCH", f"{ROOT}/cities/json", _ANY_FIELDS),
    "commit": Endpoint("POST", f"{ROOT}:commit", {"writes": [_WRITE]}),
    "batchWrite": Endpoint("POST", f"{ROOT}:batchWrite", {"writes": [_WRITE]}),
    "batchGet": Endpoint(
        "POST", f"{ROOT}:batchGet", {"documents": [_UPDATE["name"]], "mask": {"fieldPaths": ["a"]}}
    ),
    "runQuery": Endpoint("POST", f"{ROOT}:runQuery", {"structuredQuery": _QUERY}),
    "forget": Endpoint("POST", f"{ROOT}:forget", {"session": _ID, "key": "x"}, (400, 413)),
}
_DEEP = 20_000
WHOLE: dict[str, Text] = {
    "cut short": lambda text: text[:-1],
    "twice": lambda text: text + text,
    "a line each": lambda text: text + b"\n" + text,
    "text behind": lambda text: text + SECRET.encode(),
    "a bracket behind": lambda text: text + b"}",
    "NUL behind": lambda text: text + b"\0",
    "NUL before": lambda text: b"\0" + text,
    "form feed before": lambda text: b"\x0c" + text,
    "no-break space before": lambda text: "\xa0".encode() + text,
    "a byte order mark": lambda text: b"\xef\xbb\xbf" + text,
    "UTF-16": lambda text: text.decode().encode("utf-16"),
    "UTF-16 without a mark": lambda text: text.decode().encode("utf-16-le"),
    "UTF-32": lambda text: text.decode().encode("utf-32"),
    "UTF-7": lambda text: text.replace(b'"', b"+ACI-"),
    "a comment before": lambda text: b"/* x */" + text,
    "a comment behind": lambda text: text + b" // x",
    "a comment within": lambda text: text.replace(b":", b": # x\n", 1),
    "single quotes": lambda text: text.replace(b'"', b"'"),
    "bare keys": lambda text: re.sub(rb'"(\w+)":', rb"\1:", text),
    "a comma behind the last member": lambda text: text[:-1] + b",}",
    "a comma before the first member": lambda text: b"{," + text[1:],
    "no comma between members": lambda text: b'{"a":1 "b":2,' + text[1:],
    "no colon": lambda text: text.replace(b":", b"", 1),
    "an equals sign": lambda text: text.replace(b":", b"=", 1),
    "in parentheses": lambda text: b"(" + text + b")",
    "in an array": lambda text: b"[" + text + b"]",
    "in a string": lambda text: json.dumps(text.decode()).encode(),
    "behind )]}'": lambda text: b")]}'\n" + text,
    "YAML": lambda _: b"fields:\n  a: 1\n",
    "a form": lambda _: b"fields=1&a=2",
    "XML": lambda _: b"<fields/>",
    "nothing but spaces": lambda _: b" \n ",
    "null": lambda _: b"null",
    "true": lambda _: b"true",
    "0": lambda _: b"0",
    "an array that is empty": lambda _: b"[]",
    "a string": lambda _: b'"fields"',
    "brackets without end": lambda _: b"[" * _DEEP,
    "brackets, closed": lambda _: b"[" * _DEEP + b"]" * _DEEP,
    "braces without end": lambda _: b'{"a":' * _DEEP,
    "maps without end": lambda _: b'{"fields":{"a":' + b'{"mapValue":{"fields":{"a":' * _DEEP,
    "maps, closed": lambda _: (
        b'{"fields":{"a":'
        + b'{"mapValue":{"fields":{"a":' * _DEEP
        + b'{"nullValue":null}'
        + b"}}}" * _DEEP
        + b"}}"
    ),
    "filters, closed": lambda _: (
        b'{"structuredQuery":{"from":[{"collectionId":"cities"}],"where":'
        + b'{"compositeFilter":{"op":"AND","filters":[' * _DEEP
        + b"]}}" * _DEEP
        + b"}}"
    ),
}  # fmt: skip
TOKENS = {
    "NaN": b"NaN",
    "-NaN": b"-NaN",
    "Infinity": b"Infinity",
    "-Infinity": b"-Infinity",
    "1e400": b"1e400",
    "-1e400": b"-1e400",
    "1e99999999999": b"1e99999999999",
    "100,000 digits": b"9" * 100_000,
    "100,000 decimals": b"0." + b"9" * 100_000 + b"e400",
    "hexadecimal": b"0x10",
    "octal": b"010",
    "a plus": b"+1",
    "no digit before the point": b".5",
    "no digit behind the point": b"1.",
    "no exponent": b"1e",
    "digits of another script": "٣".encode(),
    "an underscore": b"1_000",
    "undefined": b"undefined",
    "None": b"None",
    "True": b"True",
    "nothing but a comma": b",",
    "single quotes": b"'x'",
    "a string without end": b'"x',
    "a high surrogate": b'"\\ud800"',
    "a low surrogate": b'"\\udc00"',
    "surrogates the wrong way round": b'"\\udc00\\ud800"',
    "a surrogate in UTF-8": b'"\xed\xa0\x80"',
    "an overlong slash": b'"\xc0\xaf"',
    "an overlong NUL": b'"\xc0\x80"',
    "beyond Unicode": b'"\xf5\x80\x80\x80"',
    "half a character": b'"\xc3"',
    "Latin-1": b'"\xe4"',
    "a bare control character": b'"\x01"',
    "a bare line feed": b'"a\nb"',
    "a bare NUL": b'"a\0b"',
    "half an escape": b'"\\u12"',
    "an unknown escape": b'"\\x41"',
    "deep": b"[" * 10_000 + b"]" * 10_000,
}
ATOMS = ("null", "true", "0", "-1", "1.5", '""', f'"{"x" * 2000}"', "[]", "[[]]", "{}", '{"a": {}}')


def bad_texts() -> Iterator[Case]:
    """Bodies that are wrong as a whole, for each endpoint."""
    for name, (method, path, body, codes) in ENDPOINTS.items():
        for reason, change in WHOLE.items():
            yield Case(f"{name}, {reason}", method, path, change(json.dumps(body).encode()), codes)


def bad_tokens() -> Iterator[Case]:
    """Each wrong token at each place of a right body."""
    for name, (method, path, body, codes) in ENDPOINTS.items():
        for place, marked in mark_values(body):
            for reason, token in TOKENS.items():
                yield Case(
                    f"{name}{place}, {reason}",
                    method,
                    path,
                    marked.replace(f'"{_MARK}"'.encode(), token),
                    codes,
                )


def bad_members() -> Iterator[Case]:
    """In each object of a right body: a key twice, a key that is none, and a key that is
    unknown."""
    for name, (method, path, body, codes) in ENDPOINTS.items():
        for place, marked, (key, value) in mark_members(body):
            again = f"{json.dumps(key)}: {json.dumps(value)}"
            escaped = "".join(f"\\u{ord(letter):04x}" for letter in key)
            members = {
                "a key twice": again,
                "a key twice, once in escapes": f'"{escaped}": {json.dumps(value)}',
                "a key that is no string": "1: 2",
                "a key that is a surrogate": '"\\ud800": {"nullValue": null}',
                "a key that is empty": '"": {"nullValue": null}',
                "an unknown key": f'"{SECRET}": {{"{SECRET}": "{SECRET}"}}',
            }
            for reason, member in members.items():
                text = marked.replace(b'"@here@": 0', member.encode())
                yield Case(f"{name}{place}, {reason}", method, path, text, codes)


def other_shapes() -> Iterator[Case]:
    """JSON of every other type at each place of a right body, which is right at few of them."""
    for name, (method, path, body, _) in ENDPOINTS.items():
        for place, marked in mark_values(body):
            for atom in ATOMS:
                text = marked.replace(f'"{_MARK}"'.encode(), atom.encode())
                yield Case(f"{name}{place}, {atom[:20]}", method, path, text, ANY)


def mark_values(body: dict[str, Any]) -> Iterator[tuple[str, bytes]]:
    """The body with a mark instead of each of its values in turn."""
    for place in places(body):
        if place:
            changed = copy.deepcopy(body)
            *above, last = place
            at(changed, above)[last] = _MARK
            yield _show(place), json.dumps(changed).encode()


def mark_members(body: dict[str, Any]) -> Iterator[tuple[str, bytes, tuple[str, Any]]]:
    """The body with a marked member in each of its objects in turn, and the first member of that
    object."""
    for place in places(body):
        found = at(body, place)
        if isinstance(found, dict) and found:
            changed = copy.deepcopy(body)
            at(changed, place)[_MARK] = 0
            yield _show(place), json.dumps(changed).encode(), next(iter(found.items()))


def places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:  # noqa: ANN401
    """The way to a value and to each that is in it, as keys and indexes."""
    yield place
    if isinstance(value, list):
        value = dict(enumerate(value))
    if isinstance(value, dict):
        for key, item in value.items():
            yield from places(item, (*place, key))


def at(value: Any, place: Any) -> Any:  # noqa: ANN401
    """The value at such a place."""
    for key in place:
        value = value[key]
    return value


def _show(place: tuple[Any, ...]) -> str:
    return "".join(f"/{key}" for key in place)


TABLES: tuple[Callable[[], Iterator[Case]], ...] = (
    bad_texts,
    bad_tokens,
    bad_members,
    other_shapes,
)
