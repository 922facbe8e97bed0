"""Requests whose path, query, method, encoding or question is wrong, or more than a collector
has."""

import gzip
import json
import uuid
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

from battery import READ, REFUSED, SECRET, Case
from collectors import ROOT, count
from shared import PREFIX, integer, string, update

_CITIES = f"{ROOT}/cities"
_CITY = f"{_CITIES}/requests"
_FIELDS = {"fields": {"a": integer(1)}}
HAS_NOT = (404, 501)
"""The answers to what Firestore has and a collector has not."""
IDS = {
    "a": True,
    "ü": True,
    "%": True,
    "%2F": True,
    " ": True,
    "a b": True,
    ":": True,
    "a:commit": True,
    "\x00": True,
    "\n": True,
    "_": True,
    "__": True,
    "___": True,
    "__a": True,
    "a__": True,
    "...": True,
    "x" * 1500: True,
    "é" * 750: True,
    "?": True,
    "#": True,
    "\\": True,
    "(default)": True,
    "😀": True,
    "\u202e": True,
    "": False,
    ".": False,
    "..": False,
    "____": False,
    "__a__": False,
    "__\n__": False,
    "a/b": False,
    "/": False,
    "x" * 1501: False,
    "é" * 751: False,
    "😀" * 400: False,
}
"""What may be the id of a document or a collection."""
FIELD_PATHS = (
    "",
    ".",
    "a.",
    ".a",
    "a..b",
    "a b",
    " a",
    "a ",
    "a\n",
    "é",
    "1a",
    "a-b",
    "a/b",
    "a[0]",
    "a,b",
    "*",
    "`",
    "``",
    "`a",
    "a`",
    "`a`b",
    "`a`.",
    "`a\\b`",
    "`a``b`",
    "a\x00",
    "x" * 1501,
    "`" + "é" * 751 + "`",
    "a." * 800,
    f"{SECRET}",
)
PATHS = (
    "",
    "/",
    "/.",
    "/..",
    "//cities",
    "/cities/",
    "/cities//",
    "/cities//x",
    "/cities/x/",
    "/./cities",
    "/cities/.",
    "/cities/..",
    "/cities/%2e",
    "/cities/%2e%2e",
    "/cities/%2E%2e/sessions",
    "/cities/../sessions",
    "/cities/x/y",
    "/cities/x/y/z",
    "/cities%2Fx",
    "%2Fcities",
    "/cities/a%2Fb",
    "/cities/%2F",
    "/cities/%c0%af",
    "/cities/%c0%80",
    "/cities/%e0%80%af",
    "/cities/%ed%a0%80",
    "/cities/%ff",
    "/cities/%f5%80%80%80",
    "/cities/%c3",
    "/cities/%",
    "/cities/%2",
    "/cities/%zz",
    "/cities/%u0041",
    "/cities/a%2",
    "/cities/%%32%35",
    "/cities/" + "x" * 10_000,
    "/" + "a/" * 5000,
    "/cities/" + "%41" * 1501,
    "/__x__",
    "/____/x",
    "/cities/__x__",
    "/" + "x" * 1501,
    "/users",
    "/users/x",
    "/cities;x=1",
    f"/{SECRET}",
    f"/{SECRET}/x/y",
    ":",
    ":Commit",
    ":commit/",
    ":commit/x",
    ":commit%20",
    ":commit:commit",
    ":" + "x" * 5000,
    f":{SECRET}",
    "/:commit",
    "/cities:commit/x",
    "s",
    "/documents/cities/x/y/z",
)
"""Behind ROOT, what names nothing that may be written."""
ELSEWHERE = (
    "/v1",
    "/v1/",
    "/v1/projects",
    "/v1/projects/p",
    "/v1/projects/p/databases",
    "/v1//projects/p/databases/(default)",
    "/v1/projects/p/databases/(default)",
    "/v1/projects/p/databases/other/documents/cities/x",
    "/v1/projects/p/databases//documents/cities/x",
    "/v1/projects/p/databases/(default/documents/cities/x",
    "/v1/projects//databases/(default)/documents/cities/x",
    "/v1/projects/../databases/(default)/documents/cities/x",
    "/v1/projects/__p__/databases/(default)/documents/cities/x",
    "/v1/projects/p%2Fq/databases/(default)/documents/c/x",
    "/v1/projects/p/databases/%2528default%2529/documents/cities/x",
    "/v1beta1" + ROOT[3:] + "/cities/x",
    "/v2" + ROOT[3:] + "/cities/x",
    "/V1" + ROOT[3:] + "/cities/x",
    "/v1/.." + ROOT + "/cities/x",
    "//v1" + ROOT[3:],
    "/%76%31" + ROOT[3:] + "/%",
    "/v1/" + "x" * 10_000,
    "/.git/config",
    "/etc/passwd",
    "/../../etc/passwd",
    "/%00",
    "/%2e%2e/%2e%2e/etc/passwd",
    "/cities",
    "/documents:commit",
    "/static",
    "/static/",
    "/static/..",
    "/static/nothing",
    "/static/../app.py",
    "/static/%2e%2e/app.py",
    "/static/..%2fapp.py",
    "/static//etc/passwd",
    "/static/%2fetc/passwd",
    "/static/%00",
    "/static/x%00.css",
    "/static/%ff",
    "/static/" + "x" * 5000,
    "/static/" + "x/" * 2000,
    "/index.html",
    "/openapi.json/",
    "/openapi.yaml",
    "/forget/",
    "/login/x",
    f"/{SECRET}",
    "/packages",
    "/packages/rxinfer/",
)
"""What is no path of a collector's at all."""


def ids_everywhere() -> Iterator[Case]:
    """Each id as the name of a document and of a collection, in a path, in a parameter and in a
    body."""
    for text, is_right in IDS.items():
        code = 200 if is_right else 400
        quoted = quote(text, safe="")
        reason = f"id {text[:9]!r}"
        many = f"id-{quoted}" if is_right else quoted  # each is created once
        yield Case(reason, "PATCH", f"{_CITIES}/{quoted}", _FIELDS, (code,))
        yield Case(reason, "DELETE", f"{ROOT}/users/{quoted}", None, (403 if is_right else 400,))
        yield Case(reason, "GET", f"{ROOT}/users/{quoted}", None, (403 if is_right else 400,))
        yield Case(reason, "POST", f"{ROOT}/{quoted}", _FIELDS, (403 if is_right else 400,))
        yield Case(reason, "GET", f"{ROOT}/{quoted}", None, (403 if is_right else 400,))
        if len(text.encode()) < 1490 or not is_right:
            code = 200 if is_right else 400
            yield Case(reason, "POST", f"{_CITIES}?documentId={many}", _FIELDS, (code,))
        codes = (200,) if is_right else (400, 404)
        forbidden = (403,) if is_right else (400, 404)
        write = update(f"cities/{text}", _FIELDS)
        yield Case(reason, "POST", f"{ROOT}:commit", {"writes": [write]}, codes)
        yield Case(
            reason,
            "POST",
            f"{ROOT}:commit",
            {"writes": [{"delete": f"{PREFIX}/users/{text}"}]},
            forbidden,
        )
        yield Case(
            reason, "POST", f"{ROOT}:batchGet", {"documents": [f"{PREFIX}/cities/{text}"]}, codes
        )
        query = {"structuredQuery": {"from": [{"collectionId": text}]}}
        yield Case(reason, "POST", f"{ROOT}:runQuery", query, (403 if is_right else 400,))


def paths_to_nowhere() -> Iterator[Case]:
    """Each path that leads nowhere, with each method."""
    for path in (*(f"{ROOT}{rest}" for rest in PATHS), *ELSEWHERE):
        for method, body in (
            ("POST", _FIELDS),
            ("PATCH", _FIELDS),
            ("DELETE", None),
            ("GET", None),
        ):
            yield Case("a path", method, path, body, (*REFUSED, 414, 431))


def methods_of_everything() -> Iterator[Case]:
    """Each method of HTTP on each kind of resource."""
    resources = {
        f"{ROOT}/users": "GET POST HEAD OPTIONS",
        f"{ROOT}/users/x": "GET PATCH DELETE HEAD OPTIONS",
        f"{ROOT}:commit": "POST OPTIONS",
        f"{ROOT}:forget": "POST OPTIONS",
        f"{ROOT}:nothing": "OPTIONS",
        "/": "",
        "/openapi.json": "",
        "/forget": "POST",
        "/static/style.css": "",
    }
    methods = (
        "PUT",
        "TRACE",
        "POST",
        "PATCH",
        "DELETE",
        "PROPFIND",
        "LINK",
        "PURGE",
        "SEARCH",
        "CONNECT",
        "get",
        "FOO",
        "HEAD",
        "OPTIONS",
    )
    for path, taken in resources.items():
        for method in methods:
            if method not in taken.split() and not (
                method == "HEAD" and not path.startswith("/v1/")
            ):
                yield Case("a method", method, path, None, (400, 404, 405, 501))
            elif path.startswith("/v1/"):
                yield Case("a method", method, path, None, (200, 204, *REFUSED))


def wrong_parameters() -> Iterator[Case]:
    """Each parameter of a query with each wrong value, wherever it is read."""
    masks = [quote(path, safe="") for path in FIELD_PATHS if path != SECRET]
    times = ("now", "", "2026-13-01T00:00:00Z", "2026-11-23", "1", "%ff", "2026-11-23T20:15:30Z%00")
    preconditions = [
        *(
            f"currentDocument.exists={value}"
            for value in ("maybe", "", "True", "1", "true%20", "null", SECRET)
        ),
        *(f"currentDocument.updateTime={value}" for value in times),
        "currentDocument.exists=true&currentDocument.updateTime=2026-11-23T20:15:30Z",
        "currentDocument.exists=false&currentDocument.exists=no",
    ]
    sizes = (
        "-1",
        "abc",
        "1e3",
        "2147483648",
        "9" * 20,
        "9" * 5000,
        "%D9%A3",
        "1_0",
        "0x10",
        "1.5",
        "",
        "--1",
        "%00",
    )
    pages = [
        *(f"pageSize={size}" for size in sizes),
        *(
            f"pageToken={token}"
            for token in ("abc", "AAAA", "%3D", "%00", "A" * 5000, SECRET, "%C3%BC")
        ),
        *(
            f"orderBy={order}"
            for order in (
                "n,",
                ",n",
                "n,n",
                "n%20desc%20n",
                "__name__%20up",
                "%60",
                "__name__%00",
                f"{SECRET}%20{SECRET}",
            )
        ),
    ]
    for mask in masks:
        for name in ("mask", "updateMask"):
            yield Case("a mask", "PATCH", f"{_CITY}?{name}.fieldPaths={mask}", _FIELDS)
            yield Case(
                "a mask", "PATCH", f"{_CITY}?{name}.fieldPaths=a&{name}.fieldPaths={mask}", _FIELDS
            )
        for method, path in (("GET", _CITY), ("GET", _CITIES), ("POST", _CITIES)):
            yield Case(
                "a mask",
                method,
                f"{path}?mask.fieldPaths={mask}",
                _FIELDS if method == "POST" else None,
            )
    for precondition in preconditions:
        yield Case("a precondition", "PATCH", f"{_CITY}?{precondition}", _FIELDS)
        yield Case("a precondition", "DELETE", f"{_CITY}?{precondition}")
    for page in pages:
        yield Case("a page", "GET", f"{_CITIES}?{page}")
    for method, path in (
        ("PATCH", _CITY),
        ("POST", _CITIES),
        ("GET", _CITY),
        ("GET", _CITIES),
        ("DELETE", _CITY),
    ):
        yield Case(
            "no UTF-8", method, f"{path}?a=%ff", _FIELDS if method in ("PATCH", "POST") else None
        )
        for query in (
            "a=1&" * 5000,
            "a" * 20_000,
            "%41" * 5000,
            "&" * 20_000,
            "mask.fieldPaths=a&" * 1000,
        ):
            yield Case("a long query", method, f"{path}?{query}%ff", _FIELDS, (400, 414, 431))


def wrong_writes() -> Iterator[Case]:
    """Commits and batches that say too little, too much or something else."""
    one = update("cities/writes", _FIELDS)
    delete = {"delete": f"{PREFIX}/cities/writes"}
    verify = {"verify": f"{PREFIX}/cities/writes"}
    mask = "updateMask"
    writes: list[tuple[dict[str, Any], tuple[int, ...]]] = [
        *(
            ({**one, mask: {"fieldPaths": [path]}}, (400,))
            for path in FIELD_PATHS
            if path != SECRET
        ),
        *(
            ({**one, mask: {"fieldPaths": ["a", path]}}, (400,))
            for path in FIELD_PATHS
            if path != SECRET
        ),
        *(
            ({**one, mask: wrong}, (400,))
            for wrong in ([], "a", ["a"], {"fieldPaths": "a"}, {"fieldPaths": [1]})
        ),
        *(({**one, "currentDocument": wrong}, (400,)) for wrong in _PRECONDITIONS),
        *(({**delete, "currentDocument": wrong}, (400,)) for wrong in _PRECONDITIONS),
        *(({"delete": name}, (400, 404)) for name in _NAMES),
        *(({"verify": name}, (400, 404)) for name in _NAMES),
        *(({"update": {"name": name, "fields": {}}}, (400, 404)) for name in _NAMES),
        ({"update": {"fields": {}}}, (400,)),
        ({"update": None}, (400,)),
        ({}, (400,)),
        ({**one, **delete}, (400,)),
        ({**one, **verify}, (400,)),
        ({**delete, **verify}, (400,)),
        ({"updateMask": {"fieldPaths": ["a"]}}, (400,)),
        ({"update": [], **delete}, (400,)),
        ({**one, SECRET: 1}, (400,)),
        ({**one, "updateTransforms": [{"fieldPath": "a", "setToServerValue": 1}]}, (501,)),
        ({"transform": {"document": f"{PREFIX}/cities/writes", "fieldTransforms": []}}, (501,)),
    ]
    for verb in ("commit", "batchWrite"):
        for write, codes in writes:
            yield Case(f"{write}"[:200], "POST", f"{ROOT}:{verb}", {"writes": [write]}, codes)
            good = update("cities/never", _FIELDS)
            yield Case(f"{write}"[:200], "POST", f"{ROOT}:{verb}", {"writes": [good, write]}, codes)
        yield Case("too many", "POST", f"{ROOT}:{verb}", {"writes": [one] * 501})
        yield Case(
            "a transaction",
            "POST",
            f"{ROOT}:{verb}",
            {"writes": [one], "transaction": "AAAA"},
            (501,),
        )
        yield Case("labels", "POST", f"{ROOT}:{verb}", {"writes": [one], "labels": {"a": 1}})
        yield Case("an unknown key", "POST", f"{ROOT}:{verb}", {"writes": [one], SECRET: SECRET})
    yield Case("twice in a batch", "POST", f"{ROOT}:batchWrite", {"writes": [one, delete]})
    absent = {**update("cities/nobody", _FIELDS), "currentDocument": {"exists": True}}
    half = update("cities/half", _FIELDS)
    yield Case("half of a commit", "POST", f"{ROOT}:commit", {"writes": [half, absent]}, (404,))
    forbidden = update(f"users/{SECRET}", _FIELDS)
    yield Case("half of a commit", "POST", f"{ROOT}:commit", {"writes": [half, forbidden]}, (403,))
    yield Case(
        "half of a batch", "POST", f"{ROOT}:batchWrite", {"writes": [half, forbidden]}, (200,)
    )


_PRECONDITIONS: tuple[Any, ...] = (
    {"exists": True, "updateTime": "2026-11-23T20:15:30Z"},
    {"exists": "true"},
    {"exists": 1},
    {"updateTime": 1},
    {"updateTime": "now"},
    {SECRET: True},
    [],
    "exists",
    {"updateTime": "2026-02-30T00:00:00Z"},
)
_NAMES: tuple[Any, ...] = (
    "",
    "x",
    "cities/a",
    PREFIX,
    f"{PREFIX}/",
    f"{PREFIX}/cities",
    f"{PREFIX}/cities/",
    f"{PREFIX}//a",
    f"/{PREFIX}/c/a",
    f"{PREFIX}/cities/a/b",
    f"{PREFIX}/cities/a/b/c",
    f"{PREFIX}/cities/..",
    f"{PREFIX}/cities/__a__",
    f"v1/{PREFIX}/c/a",
    "projects/q/databases/(default)/documents/cities/a",
    "projects/p/databases/other/documents/cities/a",
    "projects/p/databases/%28default%29/documents/cities/a",
    f"{PREFIX}/{'x' * 1501}/a",
    f"{PREFIX}/cities/{'x' * 1501}",
    f"{PREFIX}/" + "a/" * 5000,
    SECRET,
    1,
    True,
    [],
    {},
    [f"{PREFIX}/cities/a"],
)


def more_than_there_is() -> Iterator[Case]:
    """What Firestore has and a collector has not: its other methods, and options of those that both
    have."""
    for verb in (
        "beginTransaction",
        "rollback",
        "listen",
        "write",
        "partitionQuery",
        "runAggregationQuery",
        "executePipeline",
        "listCollectionIds",
        "createDocument",
        "bulkDelete",
        "exportDocuments",
        "importDocuments",
    ):
        yield Case(verb, "POST", f"{ROOT}:{verb}", {}, HAS_NOT)
        yield Case(verb, "POST", f"{ROOT}/cities/x:{verb}", {}, (*HAS_NOT, 405))
    query: dict[str, Any] = {"from": [{"collectionId": "cities"}]}
    options: list[dict[str, Any]] = [
        {"transaction": "AAAA"},
        {"newTransaction": {}},
        {"readTime": "2026-11-23T20:15:30Z"},
        {"explainOptions": {}},
        {"structuredQuery": {**query, "findNearest": {}}},
    ]
    for more in options:
        yield Case(
            f"{more}", "POST", f"{ROOT}:runQuery", {"structuredQuery": query, **more}, HAS_NOT
        )
    name = f"{PREFIX}/cities/a"
    for more in options[:3]:
        yield Case(f"{more}", "POST", f"{ROOT}:batchGet", {"documents": [name], **more}, HAS_NOT)
    deep: dict[str, Any] = {"unaryFilter": {"field": {"fieldPath": "a"}, "op": "IS_NULL"}}
    for _ in range(100):
        deep = {"compositeFilter": {"op": "AND", "filters": [deep]}}
    wide, wider = (
        {"compositeFilter": {"op": "OR", "filters": [_equals(index) for index in range(number)]}}
        for number in (100, 101)
    )
    for where, codes in (
        (deep, (400,)),
        (wide, (200,)),
        (wider, (400,)),
        (_equals("x" * 1_000_000), (200,)),
    ):
        yield Case(
            "a filter",
            "POST",
            f"{ROOT}:runQuery",
            {"structuredQuery": {**query, "where": where}},
            codes,
        )
    yield Case(
        "names",
        "POST",
        f"{ROOT}:batchGet",
        {"documents": [f"{name}{n}" for n in range(1000)]},
        (200, 400),
    )
    yield Case(
        "a collection of all", "POST", f"{ROOT}:runQuery", {"structuredQuery": {"from": [{}]}}
    )


def _equals(value: object) -> dict[str, Any]:
    wire = string(value) if isinstance(value, str) else {"integerValue": value}
    return {"fieldFilter": {"field": {"fieldPath": "a"}, "op": "EQUAL", "value": wire}}


def wrong_encodings() -> Iterator[Case]:
    """Bodies that are compressed in part, twice, in another way, or into more than may be."""
    body = json.dumps({"fields": {"a": string("x" * 1000)}}).encode()
    packed = gzip.compress(body, mtime=0)
    path = f"{_CITIES}/encodings"

    def case(reason: str, content: bytes, encoding: str, *codes: int) -> Case:
        return Case(reason, "PATCH", path, content, codes or (400,), {"Content-Encoding": encoding})

    for length in range(0, len(packed), 3):
        yield case(f"{length} bytes of {len(packed)}", packed[:length], "gzip")
    for index in range(len(packed)):
        if index not in (
            4,
            5,
            6,
            7,
            8,
            9,
        ):
            # The time, the level and the system, which nobody reads.
            changed = packed[:index] + bytes([packed[index] ^ 0x10]) + packed[index + 1 :]
            yield case(f"byte {index} is another", changed, "gzip", 400, 200)
    yield case("twice in a row", packed + packed, "gzip")
    yield case("text behind", packed + b"x", "gzip")
    yield case("zeros behind", packed + bytes(512), "gzip")
    yield case("twice", gzip.compress(packed), "gzip")
    yield case("twice, and says so", gzip.compress(packed), "gzip, gzip", 400, 415)
    yield case("not at all", body, "gzip")
    yield case("nothing", b"", "gzip")
    yield case("zlib's", zlib.compress(body), "gzip")
    yield case("secretly", packed, "identity")
    for encoding in (
        "deflate",
        "br",
        "zstd",
        "compress",
        "gzip;q=1",
        "gzip,",
        "*",
        "gzip identity",
        SECRET,
        "g" * 2000,
    ):
        yield case(encoding[:20], packed, encoding, 400, 415)
    limit = 1_048_576
    yield case("a bomb", gzip.compress(bytes(50 * limit), 9), "gzip", 413)
    yield case("as much as may be", gzip.compress(body.ljust(limit)), "gzip", 200)
    yield case("a byte more", gzip.compress(body.ljust(limit + 1)), "gzip", 413)
    yield Case("as much as may be", "PATCH", path, body.ljust(limit), (200,))
    yield Case("a byte more", "PATCH", path, body.ljust(limit + 1), (413,))
    with_token = 4_194_304
    yield Case(
        "as much as may be with a token", "PATCH", path, body.ljust(with_token), (200,), READ
    )
    yield Case("a byte more with a token", "PATCH", path, body.ljust(with_token + 1), (413,), READ)
    nothing = b'{"writes":[]}'
    for method in ("commit", "batchWrite"):
        target = f"{ROOT}:{method}"
        yield Case(
            f"as much as a {method} may be", "POST", target, nothing.ljust(4 * limit), (200,)
        )
        yield Case(
            f"a byte more than a {method}", "POST", target, nothing.ljust(4 * limit + 1), (413,)
        )


def other_headers() -> Iterator[Case]:
    """Headers that change nothing: whatever the body is said to be, and whoever sends it."""
    kinds = (
        "text/plain",
        "",
        "application/json; charset=utf-16",
        "multipart/form-data",
        "application/grpc",
        '"',
        "x" * 2000,
        "application/x-www-form-urlencoded",
        "application/json; charset=nothing",
        "image/png, text/html",
        ";;;",
        "*/*",
    )
    for kind in kinds:
        yield Case(
            f"content type {kind[:30]}",
            "PATCH",
            f"{_CITIES}/headers",
            _FIELDS,
            (200,),
            {"Content-Type": kind},
        )
        yield Case(
            f"content type {kind[:30]}",
            "PATCH",
            f"{_CITIES}/headers",
            b"x",
            (400,),
            {"Content-Type": kind},
        )
    headers: tuple[Mapping[str, str], ...] = (
        {"Authorization": "Bearer"},
        {"Authorization": f"Bearer {SECRET}"},
        {"Authorization": "Bearer \xe4"},
        {"Authorization": f"Basic {SECRET}"},
        {"Authorization": "x" * 5000},
        {"X-HTTP-Method-Override": "DELETE"},
        {"Cookie": SECRET},
        {"Range": "bytes=0-1"},
        {"If-None-Match": "*"},
        {"Accept": "text/html"},
        {"Accept": ""},
        {"Origin": f"https://{SECRET}"},
        {"X-Original-URL": "/static/style.css"},
        {"Forwarded": f"for={SECRET}"},
        {"X-Forwarded-For": SECRET},
        {"X-Forwarded-Proto": "gopher"},
        {"TE": "trailers"},
        {"Accept-Language": "tlh"},
    )
    for more in headers:
        yield Case(
            f"{more}"[:60], "POST", f"{ROOT}/using_rxinfer", count(str(uuid.uuid4())), (200,), more
        )
        yield Case(f"{more}"[:60], "GET", f"{ROOT}/using_rxinfer", None, (403,), more)
    yield Case("the token", "GET", f"{ROOT}/sessions?pageSize=1", None, (200,), READ)


TABLES: tuple[Callable[[], Iterator[Case]], ...] = (
    ids_everywhere,
    paths_to_nowhere,
    methods_of_everything,
    wrong_parameters,
    wrong_writes,
    more_than_there_is,
    wrong_encodings,
    other_headers,
)
