"""The codec: every kind both ways, strict reading, and writing that runs no code of the value's."""

import enum
import json
import math
import struct
from collections import OrderedDict, defaultdict, namedtuple
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plaintally.exceptions import DocumentError
from plaintally.firestore import (
    MAX_DEPTH,
    MAX_NAME_BYTES,
    MAX_STRING_BYTES,
    to_document,
    to_value,
)
from plaintally_server.firestore.values import GeoPoint, Reference, from_document, from_value

ZONES = st.builds(timezone, st.timedeltas(timedelta(hours=-23), timedelta(hours=23)))
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
NAMES = TEXT.filter(lambda name: name and not (name.startswith("__") and name.endswith("__")))
IDS = NAMES.map(lambda name: name.replace("/", "").strip(".") or "x").filter(
    lambda name: name[:2] != "__"
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | TEXT
    | st.binary()
    | st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1), timezones=ZONES)  # noqa: DTZ001
    | st.builds("projects/{}/databases/{}/documents/{}/{}".format, IDS, IDS, IDS, IDS).map(
        Reference
    )
    | st.builds(GeoPoint, st.floats(-90, 90), st.floats(-180, 180))
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner.filter(lambda item: not isinstance(item, list)), max_size=4)
        | st.dictionaries(NAMES, inner, max_size=4)
    ),
    max_leaves=20,
)
HUGE = 10**400


@given(VALUES)
def test_every_kind_is_read_as_it_was_written(value: object) -> None:
    wire = json.loads(json.dumps(to_value(value), allow_nan=False))
    assert same(from_value(wire), value)


@given(st.dictionaries(NAMES, VALUES, max_size=5))
def test_a_document_is_read_as_it_was_written(fields: dict[str, object]) -> None:
    document = json.loads(json.dumps(to_document(fields), allow_nan=False))
    assert same(
        from_document({**document, "name": "projects/p/...", "createTime": "2026-11-23T00:00:00Z"}),
        fields,
    )


def same(read: object, written: object) -> bool:
    """Equal in type, sign of zero and instant, too."""
    if isinstance(written, dict):
        return (
            isinstance(read, dict)
            and read.keys() == written.keys()
            and all(same(read[k], written[k]) for k in read)
        )
    if isinstance(written, list):
        return (
            isinstance(read, list) and len(read) == len(written) and all(map(same, read, written))
        )
    if isinstance(written, float):
        return isinstance(read, float) and struct.pack(">d", read) == struct.pack(">d", written)
    if isinstance(written, datetime):
        return isinstance(read, datetime) and read == written and read.tzinfo is UTC
    return type(read) is type(written) and read == written


@pytest.mark.parametrize(
    ("value", "wire"),
    [
        (None, {"nullValue": None}),
        (True, {"booleanValue": True}),
        (-(2**63), {"integerValue": "-9223372036854775808"}),
        (math.inf, {"doubleValue": "Infinity"}),
        (-math.inf, {"doubleValue": "-Infinity"}),
        (math.nan, {"doubleValue": "NaN"}),
        (1e6, {"doubleValue": 1e6}),
        (
            datetime(2026, 11, 23, 20, 15, 30, tzinfo=UTC),
            {"timestampValue": "2026-11-23T20:15:30Z"},
        ),
        (
            datetime(2026, 11, 23, 20, 15, 30, 120_000, UTC),
            {"timestampValue": "2026-11-23T20:15:30.120Z"},
        ),
        (
            datetime(2026, 11, 23, 20, 15, 30, 123_456, UTC),
            {"timestampValue": "2026-11-23T20:15:30.123456Z"},
        ),
        (
            datetime(2026, 11, 23, 1, tzinfo=timezone(timedelta(hours=5, minutes=30))),
            {"timestampValue": "2026-11-22T19:30:00Z"},
        ),
        ("ü\x00", {"stringValue": "ü\x00"}),
        (b"\xfb\xff", {"bytesValue": "+/8="}),
        (
            Reference("projects/p/databases/d/documents/c/i"),
            {"referenceValue": "projects/p/databases/d/documents/c/i"},
        ),
        (GeoPoint(1, -2.5), {"geoPointValue": {"latitude": 1.0, "longitude": -2.5}}),
        ([], {"arrayValue": {"values": []}}),
        ({}, {"mapValue": {"fields": {}}}),
    ],
)
def test_the_form_on_the_wire(value: object, wire: object) -> None:
    assert to_value(value) == wire


@pytest.mark.parametrize(
    ("wire", "value"),
    [
        ({"integerValue": 5}, 5),
        ({"integerValue": 5.0}, 5),
        ({"integer_value": "-0"}, 0),
        ({"doubleValue": 7}, 7.0),
        ({"doubleValue": "-0"}, -0.0),
        ({"nullValue": "NULL_VALUE"}, None),
        ({"nullValue": 0}, None),
        ({"bytesValue": "-_8"}, b"\xfb\xff"),
        ({"bytesValue": "+/8="}, b"\xfb\xff"),
        ({"arrayValue": {}}, []),
        ({"arrayValue": {"values": None}}, []),
        ({"map_value": {"fields": None}}, {}),
        ({"geoPointValue": {}}, GeoPoint(0.0, 0.0)),
        ({"geo_point_value": {"latitude": -90, "longitude": None}}, GeoPoint(-90.0, 0.0)),
        (
            {"timestampValue": "2026-11-23T20:15:30.999999999Z"},
            datetime(2026, 11, 23, 20, 15, 30, 999_999, UTC),
        ),
        (
            {"timestampValue": "2026-11-23T20:15:30.1+01:00"},
            datetime(2026, 11, 23, 19, 15, 30, 100_000, UTC),
        ),
        (
            {"arrayValue": {"values": [{"mapValue": {"fields": {"a": {"arrayValue": {}}}}}]}},
            [{"a": []}],
        ),
    ],
)
def test_other_forms_that_clients_send(wire: object, value: object) -> None:
    assert same(from_value(wire), value)


@pytest.mark.parametrize(
    ("wire", "place"),
    [
        ({}, "value "),
        ({"integerValue": "1", "stringValue": "a"}, "value "),
        (None, "value "),
        ({"stringValue": None}, "value.stringValue "),
        ({"frobValue": 1}, "value has a key that is no kind"),
        ({"integerValue": 5.5}, "value.integerValue "),
        ({"integerValue": True}, "value.integerValue "),
        ({"integerValue": 2**63}, "value.integerValue "),
        ({"integerValue": "9223372036854775808"}, "value.integerValue "),
        ({"integerValue": 1e300}, "value.integerValue "),
        ({"integerValue": math.inf}, "value.integerValue "),
        ({"integerValue": HUGE}, "value.integerValue "),
        *[
            ({"integerValue": text}, "value.integerValue ")
            for text in ("1_0", " 5", "5\n", "٣", "0x1", "+5", "", "1e3")
        ],
        ({"doubleValue": True}, "value.doubleValue "),
        ({"doubleValue": HUGE}, "value.doubleValue "),
        ({"doubleValue": math.nan}, "value.doubleValue "),
        *[
            ({"doubleValue": text}, "value.doubleValue ")
            for text in ("nan", "inf", "1_0", "1.5", "")
        ],
        ({"nullValue": False}, "value.nullValue "),
        ({"nullValue": 0.0}, "value.nullValue "),
        ({"booleanValue": 1}, "value.booleanValue "),
        ({"booleanValue": "true"}, "value.booleanValue "),
        ({"stringValue": "\ud800"}, "value.stringValue has a lone surrogate"),
        ({"stringValue": "ü" * (MAX_STRING_BYTES // 2 + 1)}, "value.stringValue is longer"),
        *[
            ({"bytesValue": text}, "value.bytesValue ")
            for text in ("!!!!", "A", "AA=A", "AAAA=", "AA===", " AAA", 3)
        ],
        ({"bytesValue": "A" * 1_400_000}, "value.bytesValue "),
        *[
            ({"timestampValue": text}, "value.timestampValue ")
            for text in (
                "2026-11-23",
                "2026-13-23T00:00:00Z",
                "2026-02-30T00:00:00Z",
                "2026-11-23T24:00:00Z",
                "2026-11-23T00:00:60Z",
                "2026-11-23T00:00:00",
                "2026-11-23T00:00:00.Z",
                "2026-11-23T00:00:00.1234567890Z",
                "2026-11-23T00:00:00Z\n",
                "2026-11-23 00:00:00Z",
                "٢026-11-23T00:00:00Z",
                "0001-01-01T00:00:00+23:00",
                "0000-01-01T00:00:00Z",
                1,
            )
        ],
        *[
            ({"referenceValue": name}, "value.referenceValue ")
            for name in (
                "",
                "x",
                "projects/p/databases/d/documents",
                "projects/p/databases/d/documents/c",
                "projects/p/databases/d/documents/c/i/c",
                "projects/p/databases/d/documents/c/",
                "projects/p/databases/d/documents//i",
                "/projects/p/databases/d/documents/c/i",
                "projects/p/databases/d/documents/c/..",
                "projects/p/databases/d/documents/__c__/i",
                "projects//databases/d/documents/c/i",
                f"projects/p/databases/d/documents/c/{'x' * 1501}",
                "projects/p/databases/d/documents" + f"/{'x' * 1000}" * 8,
            )
        ],
        ({"geoPointValue": {"latitude": 91}}, "value.geoPointValue "),
        ({"geoPointValue": {"longitude": "1"}}, "value.geoPointValue "),
        *[
            ({"geoPointValue": {"latitude": empty}}, "value.geoPointValue ")
            for empty in (False, "")
        ],
        ({"geoPointValue": {"lat": 1}}, "value.geoPointValue "),
        ({"arrayValue": []}, "value.arrayValue "),
        ({"arrayValue": {"values": {}}}, "value.arrayValue.values "),
        (
            {"arrayValue": {"values": [{"nullValue": None}, {"arrayValue": {}}]}},
            "value.arrayValue.values[1] is an array",
        ),
        (
            {"arrayValue": {"values": [{"array_value": {}}]}},
            "value.arrayValue.values[0] is an array",
        ),
        ({"mapValue": {"fields": []}}, "value.mapValue.fields "),
        ({"mapValue": {"values": []}}, "value.mapValue "),
        (
            {"mapValue": {"fields": {"": {"nullValue": None}}}},
            "value.mapValue.fields is empty",
        ),
        (
            {"mapValue": {"fields": {"__a__": {"nullValue": None}}}},
            "in value.mapValue.fields is reserved",
        ),
        (
            {"mapValue": {"fields": {"____": {"nullValue": None}}}},
            "in value.mapValue.fields is reserved",
        ),
        (
            {"mapValue": {"fields": {"ü" * 751: {"nullValue": None}}}},
            f"is longer than {MAX_NAME_BYTES} bytes",
        ),
        (
            {"mapValue": {"fields": {"a": {"integerValue": "x"}}}},
            "value.mapValue.fields.*.integerValue ",
        ),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_is_refused_names_its_place(wire: object, place: str) -> None:
    with pytest.raises(DocumentError) as raised:
        from_value(wire)
    message = str(raised.value)
    assert place in message
    assert "\n" not in message
    assert len(message) < 250


def test_twenty_levels_are_read_and_twenty_one_are_not() -> None:
    value: dict[str, object] = {"nullValue": None}
    for _ in range(MAX_DEPTH):
        value = {"mapValue": {"fields": {"a": value}}}
    read = from_value(value)
    assert to_value(read) == value
    assert to_document({"a": read}) == {"fields": {"a": value}}
    with pytest.raises(DocumentError, match="more than 20 arrays and maps deep"):
        from_value({"mapValue": {"fields": {"a": value}}})


@pytest.mark.parametrize(
    "document", [None, [], "x", {"field": {}}, {"fields": []}, {"fields": {"a": 1}}]
)
def test_what_is_no_document_is_refused(document: object) -> None:
    with pytest.raises(DocumentError):
        from_document(document)


SECRET = "s3cret"


class Leaky:
    """Every way to ask it anything raises or tells the secret."""

    def tell(self, *_: object, **__: object) -> str:
        return SECRET

    def fail(self, *_: object, **__: object) -> object:
        raise RuntimeError(SECRET)

    __str__ = __repr__ = tell
    __int__ = __index__ = __float__ = __iter__ = __len__ = __getitem__ = __bool__ = fail
    __hash__ = __eq__ = __lt__ = __bytes__ = __format__ = __contains__ = __complex__ = fail  # type: ignore[assignment]
    __class__ = property(fail)
    __getattr__ = __getattribute__ = fail


class Meta(type):
    @property
    def __name__(cls) -> str:  # type: ignore[override]
        return SECRET

    @property
    def __mro__(cls) -> tuple[type, ...]:
        raise RuntimeError(SECRET)

    def __instancecheck__(cls, _: object) -> bool:
        raise RuntimeError(SECRET)


class Disguised(metaclass=Meta):
    pass


class LeakyInt(Leaky, int): ...  # type: ignore[misc]


class LeakyFloat(Leaky, float): ...  # type: ignore[misc]


class LeakyStr(Leaky, str): ...  # type: ignore[misc]  # noqa: SLOT000


class LeakyBytes(Leaky, bytes): ...  # type: ignore[misc]


class LeakyList(Leaky, list): ...  # type: ignore[misc,type-arg]


class LeakyTuple(Leaky, tuple): ...  # type: ignore[misc,type-arg]  # noqa: SLOT001


class LeakyDict(Leaky, dict): ...  # type: ignore[misc,type-arg]


class LeakyTime(Leaky, datetime): ...  # type: ignore[misc]


class LeakyZone(tzinfo):
    def utcoffset(self, _: object) -> timedelta:
        raise RuntimeError(SECRET)

    dst = tzname = utcoffset  # type: ignore[assignment]


class Colour(enum.Enum):
    RED = SECRET


class Number(enum.IntEnum):
    SEVEN = 7


Pair = namedtuple("Pair", "left right")  # noqa: PYI024  # as hosts have them


@pytest.mark.parametrize(
    ("value", "wire"),
    [
        (LeakyInt(7), {"integerValue": "7"}),
        (LeakyFloat(0.5), {"doubleValue": 0.5}),
        (LeakyStr("plain"), {"stringValue": "plain"}),
        (LeakyBytes(b"plain"), {"bytesValue": "cGxhaW4="}),
        (LeakyList([1]), {"arrayValue": {"values": [{"integerValue": "1"}]}}),
        (LeakyTuple((1,)), {"arrayValue": {"values": [{"integerValue": "1"}]}}),
        (LeakyDict(a=1), {"mapValue": {"fields": {"a": {"integerValue": "1"}}}}),
        (LeakyTime(2026, 1, 2, tzinfo=UTC), {"timestampValue": "2026-01-02T00:00:00Z"}),
        (datetime(2026, 1, 2, tzinfo=LeakyZone()), {"stringValue": "datetime"}),
        (datetime(2026, 1, 2), {"stringValue": "datetime"}),  # noqa: DTZ001
        (datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=3))), {"stringValue": "datetime"}),
        (date(2026, 1, 2), {"stringValue": "date"}),
        (Leaky(), {"stringValue": "Leaky"}),
        (Disguised(), {"stringValue": "Disguised"}),
        (Disguised, {"stringValue": "Meta"}),
        (Leaky, {"stringValue": "type"}),
        (Colour.RED, {"stringValue": "Colour"}),
        (Number.SEVEN, {"integerValue": "7"}),
        (Decimal("1.5"), {"stringValue": "Decimal"}),
        (UUID(int=1), {"stringValue": "UUID"}),
        (1j, {"stringValue": "complex"}),
        ({1, 2}, {"stringValue": "set"}),
        (2**63, {"stringValue": "int"}),
        ("x" * (MAX_STRING_BYTES + 1), {"stringValue": "str"}),
        (b"x" * (MAX_STRING_BYTES + 1), {"stringValue": "bytes"}),
        ("a\ud800b\ud83d\ude00", {"stringValue": "a\ufffdb\U0001f600"}),
        (Pair(1, 2), {"arrayValue": {"values": [{"integerValue": "1"}, {"integerValue": "2"}]}}),
        (OrderedDict(a=None), {"mapValue": {"fields": {"a": {"nullValue": None}}}}),
        (defaultdict(bool, a=True), {"mapValue": {"fields": {"a": {"booleanValue": True}}}}),
        (
            {1: "a", "": "b", "__x__": 3, "ok": None, Colour: 5},
            {"mapValue": {"fields": {"ok": {"nullValue": None}}}},
        ),
        (np.int64(-5), {"integerValue": "-5"}),
        (np.uint8(255), {"integerValue": "255"}),
        (np.uint64(2**64 - 1), {"stringValue": "int"}),
        (np.float32(0.5), {"doubleValue": 0.5}),
        (np.float64("nan"), {"doubleValue": "NaN"}),
        (np.longdouble(1), {"stringValue": "longdouble"}),
        (np.complex128(1), {"stringValue": "complex"}),
        (np.True_, {"booleanValue": True}),
        (np.str_("a"), {"stringValue": "a"}),
        (np.bytes_(b"a"), {"bytesValue": "YQ=="}),
        (
            np.datetime64("2026-01-02T03:04:05.123456789"),
            {"timestampValue": "2026-01-02T03:04:05.123456Z"},
        ),
        (np.datetime64("NaT", "us"), {"nullValue": None}),
        (np.timedelta64(1, "s"), {"stringValue": "timedelta"}),
        (np.zeros((2, 2)), {"stringValue": "ndarray"}),
    ],
    ids=lambda value: type.__dict__["__name__"].__get__(type(value)),
)
def test_what_a_value_is_written_as(value: object, wire: object) -> None:
    assert to_value(value) == wire
    from_value(wire)


def test_containers_within_themselves_and_without_end() -> None:
    circle: list[object] = [1]
    circle.append(circle)
    assert from_value(to_value(circle)) == [1, "list"]
    loop: dict[str, object] = {}
    loop["self"] = [loop]
    assert from_value(to_value(loop)) == {"self": ["dict"]}
    bomb: list[object] = ["x"]
    for _ in range(MAX_DEPTH - 2):
        bomb = [{"a": bomb, "b": bomb, "c": bomb}]
    from_value(to_value(bomb))
    deep: object = "bottom"
    for _ in range(10_000):
        deep = [deep]
    from_value(to_value(deep))
    assert len(from_value(to_value([0] * 1_000_000))) <= 100_000


MAKERS: list[Callable[[], object]] = [
    Leaky,
    lambda: LeakyInt(3),
    lambda: LeakyStr("a"),
    lambda: LeakyTime(2026, 1, 1, tzinfo=UTC),
    Disguised,
    lambda: Colour.RED,
    lambda: np.float32(1),
]
# Hypothesis looks at what it generates, which these do not suffer: it is given numbers for them.
SHAPES = st.recursive(
    st.integers(0, len(MAKERS) - 1) | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text() | st.integers(), inner)
    ),
    max_leaves=30,
)


def build(shape: object) -> object:
    if isinstance(shape, int):
        return MAKERS[shape]()
    if isinstance(shape, list | tuple):
        return type(shape)(build(item) for item in shape)
    return {key: build(item) for key, item in shape.items()} if isinstance(shape, dict) else shape


@settings(max_examples=200)
@given(SHAPES)
def test_whatever_is_written_can_be_sent_and_read(shape: object) -> None:
    text = json.dumps(to_value(build(shape)), allow_nan=False, ensure_ascii=False).encode()
    assert SECRET.encode() not in text
    from_value(json.loads(text))


def test_json_of_any_shape_is_read_or_refused() -> None:
    shapes = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "fields",
                        "values",
                        "mapValue",
                        "arrayValue",
                        "integerValue",
                        "stringValue",
                        "latitude",
                        "a",
                    ]
                ),
                inner,
                max_size=3,
            )
        ),
        max_leaves=12,
    )

    @given(shapes)
    def check(shape: object) -> None:
        try:
            read = from_document(shape)
        except DocumentError:
            return
        assert from_document(to_document(read)).keys() == read.keys()

    check()


def test_writing_runs_no_code_of_a_metaclass() -> None:
    class Loud(type):
        def __eq__(cls, other: object) -> bool:
            raise AssertionError

        def __hash__(cls) -> int:
            raise AssertionError

    class Quiet(metaclass=Loud):
        pass

    class Text(str, metaclass=Loud):
        __slots__ = ()

    assert to_value([Quiet(), Text("text")]) == {
        "arrayValue": {"values": [{"stringValue": "Quiet"}, {"stringValue": "text"}]}
    }


@pytest.mark.parametrize(
    ("beside", "refused"),
    [
        ({"name": None, "createTime": None}, None),
        (
            {
                "name": "projects/p",
                "updateTime": "2026-11-23T20:15:30Z",
                "create_time": "2026-11-23T20:15:30Z",
            },
            None,
        ),
        ({"name": 5}, "name must be a string"),
        ({"createTime": "now"}, "createTime must be a time"),
        ({"updateTime": [[[]]]}, "updateTime must be a time"),
    ],
)
def test_what_stands_beside_the_fields(beside: dict[str, object], refused: str | None) -> None:
    document = {"fields": {"a": {"nullValue": None}}, **beside}
    if refused is None:
        assert from_document(document) == {"a": None}
        return
    with pytest.raises(DocumentError, match=refused):
        from_document(document)
