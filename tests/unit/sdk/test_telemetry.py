"""The handle: an author's mistakes are told at construction, and a user's words have effect."""

import functools
import json
import sys
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import plaintally
from plaintally import Contract, Telemetry, _count
from plaintally._spawn import parse_endpoint
from plaintally.exceptions import ConfigurationError, ContractError
from plaintally.versions import coarse_version


@pytest.mark.parametrize(
    "package", ["", "1st", "a b", "a/b", "ünï", "a" * 65, "x\n", "-a", None, 3]
)
def test_a_package_needs_a_name(package: object) -> None:
    with pytest.raises(ContractError, match="must be a name such as 'mypackage'"):
        Telemetry(package)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("package", "name"), [("RxInfer", "rxinfer"), ("my-pkg", "my_pkg"), ("ns.pkg", "ns_pkg")]
)
def test_a_name_is_kept_as_it_stands_in_collections(package: str, name: str) -> None:
    assert Telemetry(package).package == name


@pytest.mark.parametrize("policy", ["optout", "", None, "OPT-OUT"])
def test_a_policy_is_one_of_three(policy: object) -> None:
    with pytest.raises(ContractError, match="'opt-out', 'notice-first', 'opt-in'"):
        Telemetry("pkg", policy=policy)  # type: ignore[arg-type]


@pytest.mark.parametrize("fields", [["user_name"], ["python_version", "python_version"], [3], [[]]])
def test_a_contract_takes_the_closed_list_of_fields(fields: list[str]) -> None:
    with pytest.raises(ContractError, match="out of package_version, python_version"):
        Contract(counter=fields)


@pytest.mark.parametrize(
    "wrong", [{"counter": None}, {"counter": 3}, {"labels": 3}, {"labels": ["inference"]}], ids=str
)
def test_a_contract_is_made_of_lists_and_dicts(wrong: dict[str, object]) -> None:
    with pytest.raises(ContractError, match="must be a "):
        Contract(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("word", ["no", None, 0])
def test_plain_http_is_allowed_with_true_alone(word: object) -> None:
    with pytest.raises(ConfigurationError, match="must be True or False"):
        Telemetry("pkg", allow_http=word)  # type: ignore[arg-type]


@pytest.mark.parametrize("contract", [["package_version"], "package_version", Contract, 3])
def test_a_contract_is_a_contract(contract: object) -> None:
    with pytest.raises(ContractError, match="must be a Contract, such as"):
        Telemetry("pkg", contract=contract)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "url", ["example.org", "http://example.org", "https://a\nb", "", 3, "https://", "https://x y"]
)
def test_a_page_has_an_address(url: object) -> None:
    for name in ("issues_url", "privacy_url"):
        with pytest.raises(ConfigurationError, match=f"{name} .* must be the address of a page"):
            Telemetry("pkg", **{name: url})  # type: ignore[arg-type]


def test_a_contract_that_declares_a_version_needs_one() -> None:
    with pytest.raises(ContractError, match="declares package_version, so give Telemetry"):
        Telemetry("pkg", contract=Contract(counter=["package_version"]))


ODD_VERSIONS = [
    None,
    "",
    "unknown",
    "main",
    "+1",
    '"',
    "\n",
    "1" * 65,
    "1." * 10**6,
    1.0,
    b"1.0",
    ["1"],
    "\ud800",
]


@pytest.mark.parametrize("version", ODD_VERSIONS)
def test_an_import_is_counted_without_a_version_that_is_none(version: object) -> None:
    telemetry = Telemetry("pkg", version=version, contract=Contract(counter=["package_version"]))  # type: ignore[arg-type]
    _, body = _count.document(telemetry, bytes(16), 0)
    assert set(json.loads(body)["fields"]) == {"id", "timestamp"}


@given(st.from_regex(r"[0-9]{1,8}([.][0-9]{0,8}){0,3}|[0-9٣.a-z+]{0,12}", fullmatch=True))
def test_a_plain_release_is_its_own_coarse_version(version: str) -> None:
    assert _count._coarse_version(version) == coarse_version(version)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("telemetry.example.org/v1", "does not start with https://"),
        ("ftp://example.org/v1", "does not start with https://"),
        ("", "does not start with https://"),
        (3, "is not a text"),
        (b"https://a/b", "is not a text"),
        ("https://example.org", "has no path"),
        ("https://example.org//", "has no path"),
        ("https:///v1", "has no valid host name"),
        ("https://[::1/v1", "has no valid host name"),
        ("https://exa[mple/v1", "has no valid host name"),
        ("https://example..org/v1", "has no valid host name"),
        ("https://.example.org/v1", "has no valid host name"),
        (f"https://{'a' * 64}.org/v1", "has no valid host name"),
        ("https://example.org/%zz", "has a % without two hexadecimal digits"),
        ("https://example.org/v1%2", "has a % without two hexadecimal digits"),
        ("https://example.org:0/v1", "port"),
        ("https://example.org:65536/v1", "port"),
        ("https://example.org:x/v1", "port"),
        ("https://example.org:/v1", "port"),
        ("https://example.org:٣/v1", "holds a space"),
        ("https://me:secret@example.org/v1", "holds a space, a user name"),
        ("https://example.org/v1?key=1", "holds a space, a user name, a query"),
        ("https://example.org/v1#x", "holds a space, a user name, a query"),
        ("https://example.org/v 1", "holds a space"),
        ("https://example.org/v1\r\nX: y", "holds a space"),
        ("http://example.org/v1", "plain http"),
        ("http://128.0.0.1/v1", "plain http"),
        ("http://127.0.0.1.example.org/v1", "plain http"),
    ],
)
def test_an_endpoint_must_be_usable(url: object, reason: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        Telemetry("pkg", endpoint=url)  # type: ignore[arg-type]
    assert reason in str(raised.value)
    assert "or None to send nothing" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_plain_http_to_another_machine_is_the_authors_own_word() -> None:
    assert parse_endpoint("http://example.org/v1", allow_http=True).scheme == "http"


@given(st.binary(min_size=16, max_size=16))
def test_an_id_is_a_version_4_uuid_of_those_bytes(randomness: bytes) -> None:
    assert _count.uuid4(randomness) == str(uuid.UUID(bytes=randomness, version=4))


@given(st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(9999, 12, 31)))  # noqa: DTZ001
def test_the_time_of_an_import_is_cut_to_the_hour(moment: datetime) -> None:
    aware = moment.replace(tzinfo=UTC)
    nanoseconds = (aware - datetime(1970, 1, 1, tzinfo=UTC)) // (aware.resolution) * 1000
    assert _count.hour(nanoseconds + 999) == aware.strftime("%Y-%m-%dT%H:00:00Z")


@given(st.integers(0, 10**19))
def test_all_imports_of_an_hour_carry_the_same_time(now_ns: int) -> None:
    hour_ns = 3_600_000_000_000
    begin = now_ns // hour_ns * hour_ns
    assert _count.hour(begin) == _count.hour(now_ns) == _count.hour(begin + hour_ns - 1)
    assert _count.hour(begin) != _count.hour(begin + hour_ns)


@pytest.mark.parametrize(
    "version", ["1.38.1.dev3+g8f2c1ab.d20261130", "1.38.1.DEV12", "v1.38.1-dev+" + "8f2c1ab" * 20]
)
def test_a_development_version_leaves_without_its_checkout(version: str) -> None:
    telemetry = Telemetry("pkg", version=version, contract=Contract(counter=["package_version"]))
    _, body = _count.document(telemetry, bytes(16), 0)
    assert json.loads(body)["fields"]["package_version"] == {"stringValue": "1.38.1.dev"}


def test_the_same_randomness_and_time_give_the_same_document() -> None:
    telemetry = Telemetry(
        "pkg", version="1.2.3", contract=Contract(counter=["package_version", "python_version"])
    )
    target, body = _count.document(telemetry, bytes(16), 0)
    assert target == "using_pkg?documentId=00000000-0000-4000-8000-000000000000"
    assert body.decode() == (
        '{"fields":{"id":{"stringValue":"00000000-0000-4000-8000-000000000000"},'
        '"timestamp":{"timestampValue":"1970-01-01T00:00:00Z"},'
        '"package_version":{"stringValue":"1.2.3"},'
        f'"python_version":{{"stringValue":"{sys.version_info[0]}.{sys.version_info[1]}"}}}}}}'
    )


def test_the_public_names() -> None:
    assert plaintally.Contract is Contract
    with pytest.raises(AttributeError, match="has no attribute 'tracks'"):
        plaintally.tracks  # noqa: B018
    assert repr(Telemetry("pkg")) == "Telemetry('pkg', policy='opt-out')"


@pytest.mark.parametrize(
    "descriptor", [property, functools.cached_property, functools.singledispatchmethod]
)
def test_a_property_is_refused_with_the_remedy(descriptor: Callable[[Any], Any]) -> None:
    telemetry = Telemetry("pkg")
    with pytest.raises(ConfigurationError, match="put @track below @property and its like"):
        telemetry.track("fit")(descriptor(len))
