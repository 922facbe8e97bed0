"""Documents that are JSON and no more: values of each kind with each content, and what no contract
declares."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import unquote

from battery import READ, REFUSED, SECRET, Case
from collectors import ROOT, count
from shared import (
    PREFIX,
    Document,
    Shared,
    array,
    changed,
    double,
    integer,
    mapping,
    moment,
    string,
    update,
)

_CITY = f"{ROOT}/cities"
_INT64 = ("9223372036854775807", "-9223372036854775808")
_WHOLE = ("0", "1", "-1", "5.0", "9007199254740992", *_INT64)
_NUMBERS = (*_WHOLE, "5.5", "1e300", "9223372036854775808", "-9223372036854775809")
_GOOD_TIMES = (
    "2026-11-23T20:15:30Z",
    "2026-11-23T20:15:30.123456789Z",
    "2026-11-23T20:15:30+01:00",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59.999999999Z",
    "2028-02-29T00:00:00Z",
)
_BAD_TIMES = (
    "2026-13-01T00:00:00Z",
    "2026-02-30T00:00:00Z",
    "2026-11-23T24:00:00Z",
    "2026-11-23T23:59:60Z",
    "2026-11-23",
    "2026-11-23T20:15:30",
    "2026-11-23T20:15:30.Z",
    "2026-11-23T20:15:30.1234567890Z",
    "2026-11-23 20:15:30Z",
    "2026-11-23T20:15:30Z ",
    "2026-11-23T20:15Z",
    "0000-01-01T00:00:00Z",
    "10000-01-01T00:00:00Z",
    "0001-01-01T00:00:00+23:00",
    "9999-12-31T23:59:59-23:00",
    "٢026-11-23T20:15:30Z",
    "20261123T201530Z",
    "2026-W48-1T00:00:00Z",
    "now",
)
_TEXTS = [
    "",
    "0",
    "5",
    "-5",
    "-0",
    *_INT64,
    "+5",
    " 5",
    "5 ",
    "5\n",
    "٣",
    "1_0",
    "0x1",
    "1e3",
    "9223372036854775808",
    "1.5",
    "NaN",
    "nan",
    "Infinity",
    "-Infinity",
    "inf",
    "true",
    "NULL_VALUE",
    "null",
    "AAAA",
    "AA==",
    "AA",
    "AA=",
    "A",
    "AA=A",
    "AAAA=",
    "-_8=",
    "!!!!",
    "A A=",
    "x\x00y",
    "\uffff",
    "😀",
    *_GOOD_TIMES,
    *_BAD_TIMES,
    f"{PREFIX}/cities/a",
]
_TEXT_ATOMS = tuple(map(json.dumps, _TEXTS))
_EMPTY_ARRAYS = ('{"values":[]}', '{"values":null}')
_EMPTY_MAPS = ('{"fields":{}}', '{"fields":null}')
_POINTS = ('{"latitude":1}', '{"latitude":-90,"longitude":180}', '{"longitude":-180.0}')
ATOMS = (
    "null",
    "true",
    "false",
    *_NUMBERS,
    *_TEXT_ATOMS,
    "[]",
    "[{}]",
    "{}",
    *_EMPTY_ARRAYS,
    *_EMPTY_MAPS,
    *_POINTS,
    '{"values":{}}',
    '{"values":[null]}',
    '{"values":[{}]}',
    '{"values":[{"arrayValue":{}}]}',
    '{"values":[],"x":1}',
    '{"values":[1]}',
    '{"fields":[]}',
    '{"fields":{"":{"nullValue":null}}}',
    '{"fields":{"__a__":{"nullValue":null}}}',
    '{"fields":{"a":{}}}',
    '{"fields":{"a":null}}',
    '{"fields":{},"x":1}',
    '{"latitude":90.001}',
    '{"latitude":-91}',
    '{"longitude":181}',
    '{"latitude":"1"}',
    '{"latitude":true}',
    '{"latitude":1,"altitude":1}',
    '{"lat":1}',
)
ACCEPTED: dict[str, tuple[str, ...]] = {
    "nullValue": ("null", "0", '"NULL_VALUE"'),
    "booleanValue": ("true", "false"),
    "integerValue": (*_WHOLE, *(json.dumps(text) for text in ("0", "5", "-5", "-0", *_INT64))),
    "doubleValue": (*_NUMBERS, '"NaN"', '"Infinity"', '"-Infinity"', '"-0"'),
    "timestampValue": tuple(map(json.dumps, _GOOD_TIMES)),
    "stringValue": _TEXT_ATOMS,
    "bytesValue": tuple(
        json.dumps(text)
        for text in _TEXTS
        if re.fullmatch(
            r"([A-Za-z0-9+/_-]{4})*([A-Za-z0-9+/_-]{2}={0,2}|[A-Za-z0-9+/_-]{3}=?)?", text
        )
    ),
    "referenceValue": (json.dumps(f"{PREFIX}/cities/a"),),
    "geoPointValue": ("{}", *_POINTS),
    "arrayValue": ("{}", *_EMPTY_ARRAYS),
    "mapValue": ("{}", *_EMPTY_MAPS),
    "frobValue": (),
    "value": (),
    "": (),
}
"""By kind, which atoms are its contents; a kind that is not Firestore's has none."""
_PLACES = {
    "at the top": '{"fields":{"a":%s}}',
    "below": '{"fields":{"a":{"mapValue":{"fields":{"b":'
    '{"arrayValue":{"values":[{"nullValue":null},%s]}}}}}}}',
}


def contents_of_kinds() -> Iterator[Case]:
    """Each kind of value with each atom of JSON, at the top and in an array in a map."""
    for kind, accepted in ACCEPTED.items():
        for atom in ATOMS:
            for place, text in _PLACES.items():
                body = (text % f'{{"{kind}":{atom}}}').encode()
                is_right = atom in accepted and (kind, place) != ("arrayValue", "below")
                yield Case(
                    f"{kind} {atom} {place}",
                    "PATCH",
                    f"{_CITY}/values",
                    body,
                    (200 if is_right else 400,),
                )


def two_kinds_at_once() -> Iterator[Case]:
    """Each pair of kinds in one value, and one kind in both of its spellings."""
    right = {kind: accepted[0] for kind, accepted in ACCEPTED.items() if accepted}
    for kind, atom in right.items():
        snake = re.sub("[A-Z]", lambda match: f"_{match[0].lower()}", kind)
        for other, content in [*right.items(), (snake, atom), ("unknown", "null")]:
            if other != kind:
                body = f'{{"fields":{{"a":{{"{kind}":{atom},"{other}":{content}}}}}}}'.encode()
                yield Case(f"{kind} and {other}", "PATCH", f"{_CITY}/values", body)
        body = f'{{"fields":{{"a":{{"{snake}":{atom}}}}}}}'.encode()
        yield Case(snake, "PATCH", f"{_CITY}/values", body, (200,))


def sizes_of_documents() -> Iterator[Case]:
    """Names, strings and levels at the limits and beyond."""
    names = {
        "x" * 1500: 200,
        "x" * 1501: 400,
        "é" * 750: 200,
        "é" * 751: 400,
        "": 400,
        "__a__": 400,
        "____": 400,
    }
    names |= {
        "__\n__": 400,
        "_": 200,
        "___": 200,
        "__a": 200,
        "a.b": 200,
        "`": 200,
        "\x00": 200,
        "😀": 200,
        " ": 200,
    }
    for name, code in names.items():
        fields = {name: integer(1)}
        yield Case(f"the name {name[:9]!r}", "PATCH", f"{_CITY}/sizes", {"fields": fields}, (code,))
        yield Case(
            f"the name {name[:9]!r}",
            "PATCH",
            f"{_CITY}/sizes",
            {"fields": {"a": mapping(**fields)}},
            (code,),
        )
    for length, code in ((1_048_400, 200), (1_048_488, 400), (2_000_000, 400)):
        document = {"fields": {"a": string("x" * length)}}
        yield Case(f"{length} bytes", "PATCH", f"{_CITY}/sizes", document, (code,), READ)
    many = {f"f{index}": integer(index) for index in range(90_000)}
    yield Case("90,000 fields", "PATCH", f"{_CITY}/sizes", {"fields": many}, headers=READ)
    for levels, code in ((20, 200), (21, 400), (100, 400), (1000, 400)):
        for name, around in (("maps", (_MAP, _MAP)), ("maps and arrays", (_MAP, _ARRAY))):
            text = '{"nullValue":null}'
            for level in range(levels):
                text = around[level % 2].replace("*", text)
            body = f'{{"fields":{{"a":{text}}}}}'.encode()
            yield Case(f"{levels} {name}", "PATCH", f"{_CITY}/sizes", body, (code,))


_MAP = '{"mapValue":{"fields":{"a":*}}}'
_ARRAY = '{"arrayValue":{"values":[*]}}'
_VALUES: dict[str, dict[str, Any]] = {
    "nullValue": {"nullValue": None},
    "booleanValue": {"booleanValue": True},
    "integerValue": integer(1),
    "doubleValue": double(0.5),
    "timestampValue": moment(),
    "stringValue": string(SECRET),
    "bytesValue": {"bytesValue": "AAAA"},
    "referenceValue": {"referenceValue": f"{PREFIX}/cities/{SECRET}"},
    "geoPointValue": {"geoPointValue": {"latitude": 1}},
    "arrayValue": array(string(SECRET), integer(1)),
    "mapValue": mapping(**{SECRET: string(SECRET)}),
}
_LONG = string("x" * 2000)
_WRONG: dict[str, list[dict[str, Any]]] = {
    "id": [string(""), string(SECRET), string("{9eb898b5-76a4-49b0-b1b6-ba209ba39adf}"), _LONG],
    "package": [string(""), string(SECRET), string("Rxinfer"), string("using_rxinfer"), _LONG],
    "session": [string(""), string(SECRET), string("9EB898B5-76A4-49B0-B1B6-BA209BA39ADF"), _LONG],
    "session_stats": [string(""), string(SECRET), _LONG],
    "label": [string(""), string(SECRET), string("Inference"), string("plot "), _LONG],
    "status": [string(""), string(SECRET), string("unknown"), string("SUCCESS")],
    "success_rate": [
        double(-0.1),
        double(1.1),
        {"doubleValue": "NaN"},
        {"doubleValue": "Infinity"},
    ],
    "context_keys": [
        array(string(SECRET)),
        array(integer(1)),
        array(*[string("iterations")] * 129),
    ],
    "deletion_key_hash": [
        string(""),
        string(SECRET),
        string("A" * 64),
        string("a" * 65),
        string("g" * 64),
    ],
    "context": [
        mapping(**{SECRET: string("x")}),
        mapping(model_name=string(SECRET)),
        mapping(model_name=integer(1)),
        mapping(iterations=integer(1001)),
        mapping(iterations=integer(-1)),
        mapping(iterations=double(5.0)),
        mapping(iterations=string("5")),
        mapping(free_energy=integer(1)),
        mapping(free_energy=string("true")),
        mapping(tolerance=double(1.5)),
        mapping(tolerance={"doubleValue": "NaN"}),
        mapping(tolerance=integer(1)),
        mapping(solver=string("A")),
        mapping(solver=string(f"a\n{SECRET}")),
        mapping(solver=string("a" * 65)),
        mapping(source=string("x" * 100_001)),
        mapping(source=mapping()),
        mapping(error=string(SECRET)),
        mapping(error=mapping(**{SECRET: string(SECRET)})),
        mapping(error_message=integer(1)),
        mapping(iterations={"nullValue": None}),
    ],
    "environment": [
        mapping(),
        mapping(os=string("Linux")),
        mapping(**{SECRET: string(SECRET)}),
    ],
}
_COUNTS = ("total_invokes", "success_count", "failed_count")
_WRONG |= {name: [integer(-1), integer(1000), double(1.0)] for name in _COUNTS}
_DURATIONS = ("min_duration_ms", "max_duration_ms", "total_duration_ms", "duration_ms")
_WRONG |= {
    name: [
        double(-0.5),
        double(1e17),
        double(1e306),
        {"doubleValue": "NaN"},
        {"doubleValue": "Infinity"},
        integer(1),
    ]
    for name in _DURATIONS
}
_WRONG_ENVIRONMENT: list[dict[str, dict[str, Any] | None]] = [
    {"os": None},
    {SECRET: string("x")},
    {"os": string("Lïnux")},
    {"os": string("x" * 33)},
    {"os": string("visit example.com")},
    {"machine": string("")},
    {"machine": string("x86_64; see example.com")},
    {"python_version": string("3.13.1")},
    {"python_version": string("best at example.com")},
    {"package_version": string("visit https://example.com")},
    {"package_version": string("=1+1")},
    {"os": string("a\nb")},
    {"os": integer(1)},
    {"cpu_threads": integer(-1)},
    {"cpu_threads": integer(65_537)},
    {"cpu_threads": double(8.0)},
    {"cpu_threads": string("8")},
    {"word_size": {"booleanValue": True}},
]


def undeclared_documents() -> Iterator[Case]:
    """What users share, with a field less, more, of another kind or with wrong content, by PATCH
    and by commit."""
    shared = Shared(invokes=1)
    for name, document in shared.documents.items():
        for reason, wrong in _spoil(document):
            yield Case(f"{name[:14]}, {reason}", "PATCH", f"{ROOT}/{name}", wrong, (400, 403))
            body = {"writes": [update(name, wrong)]}
            yield Case(f"{name[:14]}, {reason}", "POST", f"{ROOT}:commit", body, (400, 403))
        yield Case("of another name", "PATCH", f"{ROOT}/{name}x", document)
        yield Case("without a name", "POST", f"{ROOT}/{name.partition('/')[0]}", document)
    environment = shared.session_document()["fields"]["environment"]["mapValue"]
    for more in _WRONG_ENVIRONMENT:
        spoilt: dict[str, object] = {"mapValue": changed(environment, **more)}  # type: ignore[arg-type]
        document = changed(shared.session_document(), environment=spoilt)
        yield Case(f"environment, {more}", "PATCH", f"{ROOT}/{shared.names[0]}", document)


def undeclared_counts() -> Iterator[Case]:
    """Counts that are none, in the collection of a package, of another, and of none."""
    for reason, wrong in _spoil(count()):  # type: ignore[arg-type]
        for method, path in (("POST", "using_rxinfer"), ("PATCH", "using_rxinfer/wrong")):
            yield Case(f"count, {reason}", method, f"{ROOT}/{path}", wrong)
    for collection in (
        "users",
        "using_unknown",
        "using_",
        "Using_rxinfer",
        "using_rxinfer%20",
        "sessions_",
        SECRET,
    ):
        yield Case(f"in {collection}", "POST", f"{ROOT}/{collection}", count(), (403,))
        body = {"writes": [update(f"{unquote(collection)}/a", count())]}  # type: ignore[arg-type]
        yield Case(f"in {collection}", "POST", f"{ROOT}:commit", body, (403,))


def documents_changed_for_the_worse() -> Iterator[Case]:
    """What is stored and right, changed by a mask into what is not, and what others cannot take
    over."""
    shared = Shared(invokes=1)
    writes = [update(name, document) for name, document in shared.documents.items()]
    yield Case("right", "POST", f"{ROOT}:commit", {"writes": writes}, (200,))
    session, stats, invoke = shared.names
    for path, mask, fields in (
        (session, SECRET, {SECRET: string("x")}),
        (session, "environment.os", {}),
        (session, f"environment.`{SECRET}`", {"environment": mapping(**{SECRET: string("x")})}),
        (session, "deletion_key_hash", {"deletion_key_hash": string("b" * 64)}),
        (session, "package", {"package": string("another")}),
        (stats, "session", {"session": string("9eb898b5-76a4-49b0-b1b6-ba209ba39adf")}),
        (stats, "total_invokes", {"total_invokes": integer(2)}),
        (stats, "label", {"label": string("plot")}),
        (invoke, "context.iterations", {"context": mapping(iterations=integer(1001))}),
        (invoke, f"context.`{SECRET}`", {"context": mapping(**{SECRET: string("x")})}),
        (invoke, "id", {}),
    ):
        query = f"updateMask.fieldPaths={mask}"
        yield Case(
            f"mask {mask}", "PATCH", f"{ROOT}/{path}?{query}", {"fields": fields}, (400, 403)
        )
        write = {**update(path, {"fields": fields}), "updateMask": {"fieldPaths": [mask]}}
        yield Case(f"mask {mask}", "POST", f"{ROOT}:commit", {"writes": [write]}, (400, 403))
    for path in shared.names:
        yield Case("deleted by anybody", "DELETE", f"{ROOT}/{path}", None, (403,))
        yield Case("emptied", "PATCH", f"{ROOT}/{path}", {}, REFUSED)


def _spoil(document: Document) -> Iterator[tuple[str, Document]]:
    yield "no field", {"fields": {}}
    yield "one field more", changed(document, **{SECRET: string(SECRET)})
    yield "an e-mail address as a field", changed(document, **{f"{SECRET}@example.org": integer(1)})
    for name, value in document["fields"].items():
        yield f"no {name}", changed(document, **{name: None})
        for kind, other in _VALUES.items():
            if kind not in value:
                yield f"{name} as {kind}", changed(document, **{name: other})
        for wrong in _WRONG.get(name, ()):
            yield f"{name} {wrong}"[:200], changed(document, **{name: wrong})


TABLES: tuple[Callable[[], Iterator[Case]], ...] = (
    contents_of_kinds,
    two_kinds_at_once,
    sizes_of_documents,
    undeclared_documents,
    undeclared_counts,
    documents_changed_for_the_worse,
)
