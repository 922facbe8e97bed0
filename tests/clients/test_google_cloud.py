"""The client library google-cloud-firestore, over its REST transport."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from google.api_core import exceptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import firestore
from google.cloud.firestore_v1.base_query import And, FieldFilter, Or
from google.cloud.firestore_v1.field_path import FieldPath
from google.cloud.firestore_v1.services.firestore import FirestoreClient
from google.cloud.firestore_v1.services.firestore.transports.rest import FirestoreRestTransport
from google.oauth2.credentials import Credentials

from collectors import TOKEN, Collector

ID = "9eb898b5-76a4-49b0-b1b6-ba209ba39adf"
MOMENT = datetime(2026, 11, 23, 20, 15, 30, 123456, tzinfo=UTC)


def connect(collector: Collector, credentials: AnonymousCredentials | Credentials) -> Any:
    """The public client; only what it sends requests with is put in."""
    client = firestore.Client(project="p", credentials=credentials)
    transport = FirestoreRestTransport(
        host=collector.url, credentials=credentials, url_scheme="http"
    )
    client._firestore_api_internal = FirestoreClient(transport=transport)
    return client


@pytest.fixture
def client(open_collector: Collector) -> Iterator[Any]:
    client = connect(open_collector, AnonymousCredentials())  # type: ignore[no-untyped-call]
    yield client
    client._firestore_api_internal.transport.close()


def fails(error: type[Exception], work: Callable[[], object]) -> None:
    with pytest.raises(error):
        work()


def test_writing_and_reading(client: Any) -> None:
    cities = client.collection("cities")
    values = {
        "name": "Zürich 😀",
        "count": 2**53 + 1,
        "ratio": 1.0,
        "none": None,
        "yes": True,
        "when": MOMENT,
        "bytes": b"\x00\xff\xfe",
        "place": firestore.GeoPoint(47.5, -8.25),
        "list": [1, "two", {"three": [3.5]}],
        "nested": {"a.b": {"c d": 1}, "`": 2},
        "empty": {},
        "nothing": [],
        "other": cities.document("x"),
    }
    _, added = cities.add(values)
    found = added.get()
    assert found.to_dict() == values
    assert [type(found.get(key)) for key in ("count", "ratio")] == [int, float]
    written = cities.document("zrh").set({"a": 1})
    assert cities.document("zrh").get().update_time == written.update_time
    fails(exceptions.Conflict, lambda: cities.document("zrh").create({}))
    assert cities.document("zrh").get().to_dict() == {"a": 1}


def test_merging_and_updating(client: Any) -> None:
    zurich = client.collection("cities").document("a%2F ü")
    zurich.set({"name": "z", "nested": {"one": 1, "two": 2}})
    zurich.set({"nested": {"two": 22, "three": 3}}, merge=True)
    assert zurich.get().to_dict() == {"name": "z", "nested": {"one": 1, "two": 22, "three": 3}}
    zurich.set({"name": "y", "ignored": 1}, merge=["name"])
    path = FieldPath("a.b", "c`d\\").to_api_repr()
    zurich.update({"nested.one": firestore.DELETE_FIELD, "nested.four": {"x": 4}, path: 5})
    assert zurich.get().to_dict() == {
        "name": "y",
        "nested": {"two": 22, "three": 3, "four": {"x": 4}},
        "a.b": {"c`d\\": 5},
    }
    assert zurich.get(["nested.four", "missing"]).to_dict() == {"nested": {"four": {"x": 4}}}
    fails(
        exceptions.NotFound,
        lambda: client.collection("cities").document("missing").update({"a": 1}),
    )


def test_deleting_and_preconditions(client: Any) -> None:
    zurich = client.collection("cities").document("zrh")
    written = zurich.set({"a": 1})
    later = zurich.update({"a": 2}, client.write_option(last_update_time=written.update_time))
    stale = client.write_option(last_update_time=written.update_time)
    fails(exceptions.BadRequest, lambda: zurich.update({"a": 3}, stale))
    fails(exceptions.BadRequest, lambda: zurich.delete(stale))
    zurich.delete(client.write_option(last_update_time=later.update_time))
    zurich.delete()
    assert not zurich.get().exists
    fails(exceptions.NotFound, lambda: zurich.delete(client.write_option(exists=True)))


def test_getting_many(client: Any) -> None:
    people = client.collection("people")
    people.document("a").set({"age": 1})
    found = {
        one.id: one.exists
        for one in client.get_all([people.document(name) for name in ("a", "b", "a")])
    }
    assert found == {"a": True, "b": False}


def test_batches(client: Any) -> None:
    batch = client.batch()
    people = client.collection("batch")
    batch.set(people.document("a"), {"n": 1})
    batch.update(people.document("a"), {"m": 2})
    batch.delete(people.document("b"))
    assert len(batch.commit()) == 3
    assert people.document("a").get().to_dict() == {"n": 1, "m": 2}
    bad = client.batch()
    bad.set(people.document("c"), {})
    bad.create(people.document("a"), {})
    fails(exceptions.Conflict, bad.commit)
    assert not people.document("c").get().exists
    writer = client.bulk_writer()
    for number in range(30):
        writer.create(people.document(f"d{number:02}"), {"n": number})
    writer.close()
    assert len(people.get()) == 31


def test_queries(client: Any) -> None:
    numbers = client.collection("numbers")
    assert numbers.get() == []
    for number in range(10):
        odd = {"odd": True} if number % 2 else {}
        numbers.document(f"n{9 - number}").set(
            {"n": number, "half": number / 2, "tags": [number, "x"], **odd}
        )
    numbers.document("z").set({"n": None, "half": float("nan"), "map": {"a b": 1}})

    def names(query: Any) -> str:
        return "".join(found.id.removeprefix("n") for found in query.stream())

    def where(*filters: Any) -> Any:
        query = numbers
        for one in filters:
            query = query.where(filter=FieldFilter(*one))
        return query

    assert names(numbers) == "0123456789z"
    assert names(where(("odd", "==", True))) == "02468"
    assert names(where(("odd", "==", True), ("n", ">", 3))) == "420"
    assert names(where(("n", "==", 4.0))) == "5"
    assert names(where(("n", "==", None))) == names(where(("half", "==", float("nan")))) == "z"
    assert (
        names(where(("half", ">=", 2), ("half", "<", 3)).order_by("half", direction="DESCENDING"))
        == "45"
    )
    assert names(where(("n", "in", [1, 2, None]))) == "78z"
    assert names(where(("n", "!=", 1))) == "976543210"
    assert names(where(("n", "not-in", [1, 2, 3, 4, 5, 6, 7]))) == "910"
    assert names(where(("tags", "array_contains", 3))) == "6"
    assert names(where(("tags", "array_contains_any", [3, 4]))) == "56"
    assert names(where(("map.`a b`", "==", 1))) == "z"
    assert names(where(("__name__", ">=", numbers.document("n7")))) == "789z"
    either = Or(
        [FieldFilter("n", "==", 1), And([FieldFilter("n", ">", 7), FieldFilter("odd", "==", True)])]
    )
    assert names(numbers.where(filter=either)) == "80"
    assert names(numbers.order_by("n").limit(3)) == "z98"
    assert names(numbers.order_by("n", direction="DESCENDING").offset(2).limit(2)) == "23"
    assert names(numbers.order_by("__name__", direction="DESCENDING").limit(2)) == "z9"
    assert names(numbers.order_by("odd", direction="DESCENDING").order_by("n")) == "86420"
    assert names(numbers.order_by("n").start_at({"n": 8}).limit(5)) == "10"
    assert names(numbers.order_by("n").start_after({"n": 7}).end_before({"n": 9})) == "1"
    assert names(numbers.order_by("n").start_at([3]).end_at([4])) == "65"
    assert [found.id for found in numbers.order_by("n").limit_to_last(2).get()] == ["n1", "n0"]
    assert names(numbers.order_by("__name__").start_after(numbers.document("n7").get())) == "89z"
    assert [
        found.to_dict() for found in where(("n", "==", 3)).select(["n", "missing"]).stream()
    ] == [{"n": 3}]
    assert [found.to_dict() for found in where(("n", "==", 3)).select(["__name__"]).stream()] == [
        {}
    ]
    assert sorted(found.id for found in numbers.list_documents(page_size=3)) == [
        *(f"n{n}" for n in range(10)),
        "z",
    ]


def test_what_is_not_open_is_refused(client: Any, open_collector: Collector) -> None:
    fails(exceptions.Forbidden, lambda: client.collection("users").add({}))
    fails(exceptions.Forbidden, lambda: client.collection("users").get())
    fails(exceptions.BadRequest, lambda: client.collection("using_rxinfer").add({"a": 1}))
    one = client.collection("using_rxinfer").document("x")
    one.set({"id": ID, "timestamp": MOMENT})
    for work in (one.get, one.delete, client.collection("using_rxinfer").get):
        fails(exceptions.Forbidden, work)
    assert open_collector.store.total("rxinfer") == 1
    fails(
        exceptions.MethodNotImplemented, lambda: one.set({"timestamp": firestore.SERVER_TIMESTAMP})
    )


def test_imports_are_written_and_no_documents(open_collector: Collector) -> None:
    client = connect(open_collector, Credentials(TOKEN))  # type: ignore[no-untyped-call]
    imports = client.collection("using_rxinfer")
    one = imports.document("x")
    fields = {"id": ID, "timestamp": MOMENT}
    one.create(fields)
    fails(exceptions.Conflict, lambda: one.create(fields))
    one.set(fields)
    for work in (
        one.get,
        one.delete,
        imports.get,
        lambda: [*imports.list_documents()],
        lambda: one.update(fields),
        lambda: one.set(fields, merge=True),
        lambda: one.delete(client.write_option(exists=True)),
        lambda: [*client.get_all([client.collection("cities").document("a"), one])],
    ):
        fails(exceptions.MethodNotImplemented, work)
    client._firestore_api_internal.transport.close()
    assert open_collector.store.total("rxinfer") == 1
