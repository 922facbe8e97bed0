"""The description that a collector gives of itself is true: requests made from it are answered as
it says."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.specs.openapi import checks

import plaintally_server
from battery import READ
from collectors import ROOT, Collector, count, run_collector
from hosts import ROOT as REPOSITORY
from plaintally.contract import Contract
from plaintally_server.api.openapi import describe
from plaintally_server.ingest.admission import Policy
from shared import CONTRACT, Shared, write_contract

pytestmark = pytest.mark.once

CHECKS = [
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
]


@pytest.fixture(scope="module")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    folder = tmp_path_factory.mktemp("openapi")
    contract = f"--contract={write_contract(folder)}"
    with run_collector(folder / "test.sqlite3", contract, "--rate-limit=0") as running:
        yield running


def test_requests_made_from_it_are_answered_as_it_says(collector: Collector) -> None:
    answer = collector.request("GET", "/openapi.json")
    assert (answer.status, answer.headers["content-type"]) == (
        200,
        "application/json; charset=utf-8",
    )
    assert answer.headers["access-control-allow-origin"] == "*"
    taken = {}
    operations: Any = schemathesis.openapi.from_dict(answer.json).get_all_operations()
    for operation in (found.ok() for found in operations):
        taken[operation.label] = try_operation(operation, GenerationMode.POSITIVE, collector)
        try_operation(operation, GenerationMode.NEGATIVE, collector)
    assert len(taken) > 20
    for label in (
        "POST /documents/using_rxinfer",
        "POST /documents:commit",
        "DELETE /documents/sessions/{document}",
    ):
        assert taken[label] >= 1, label
    assert collector.process.poll() is None


def try_operation(operation: Any, mode: GenerationMode, collector: Collector) -> int:  # noqa: ANN401
    """Send requests that the description allows, or rules out; return how many succeeded."""
    statuses = []

    @settings(
        max_examples=6,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(operation.as_strategy(generation_mode=mode))
    def check(case: Any) -> None:  # noqa: ANN401
        response = case.call(base_url=collector.url + ROOT.removesuffix("/documents"), headers=READ)
        assert response.status_code < 500 or response.status_code == 501
        # That a body or a target is too long is a refusal that schemathesis does not expect.
        case.validate_response(
            response, checks=CHECKS[: 3 if response.status_code in (413, 414) else 4]
        )
        statuses.append(response.status_code)

    check()
    return statuses.count(200)


def test_it_names_every_error_and_every_method(collector: Collector) -> None:
    sources = [path.read_text() for path in Path(plaintally_server.__file__).parent.rglob("*.py")]
    raised = {code for source in sources for code in re.findall(r"\bRefusal\(\s*(\d{3}),", source)}
    description = describe(Policy({}), version="1")
    responses = description["components"]["responses"]
    errors = {code: one["description"] for code, one in responses.items() if code.isdecimal()}
    assert raised | {"405"} == set(errors)
    documented = (REPOSITORY / "docs/reference/firestore.md").read_text()
    for code, text in errors.items():
        status = re.split(r"\W", text)[0]
        row = rf"^\| [0-9, ]*{code}[0-9, ]* \| `{status}`"
        assert re.search(row, documented, re.MULTILINE), code
    for path in description["paths"]:
        url = f"{ROOT.removesuffix('/documents')}{path}"
        assert collector.request("POST", url, b"{", READ).error[0] == 400, path
        assert f"`POST {path.replace('/documents', 'ROOT')}`" in documented


@pytest.mark.parametrize("verb", ["batchGet", "runQuery"])
def test_a_read_without_a_token_is_rejected_before_its_body_is_parsed(
    collector: Collector, verb: str
) -> None:
    answer = collector.request("POST", f"{ROOT}:{verb}", b"{")
    assert answer.error == (403, "PERMISSION_DENIED")


MAY_LACK = {"": {("using_rxinfer", "python_version")}}
# RxInfer.jl's documents have no key, so that none of ours is one of them.
MAY_LACK["rxinfer"] = MAY_LACK[""]
"""By dialect, collections and the fields that a document of theirs need not have."""


@pytest.mark.parametrize("dialect", ["", "rxinfer"])
def test_what_is_right_fits_and_what_is_not_declared_does_not(dialect: str) -> None:
    contract = Contract(labels=CONTRACT.labels, counter=["python_version"], dialect=dialect)
    description = describe(Policy({"rxinfer": contract}), version="1")
    documents: dict[str, Any] = {
        name.partition("/")[0]: one for name, one in Shared(invokes=1).documents.items()
    }
    documents["using_rxinfer"] = count(python_version={"stringValue": "3.13"})
    for collection, document in documents.items():
        schema = {
            "$ref": f"#/components/schemas/fields.{collection}",
            "components": description["components"],
        }
        validator = jsonschema_rs.validator_for(schema)
        assert validator.is_valid(document["fields"])
        for name in document["fields"]:
            less = {key: value for key, value in document["fields"].items() if key != name}
            other = {**document["fields"], name: {"booleanValue": True}}
            assert validator.is_valid(less) == ((collection, name) in MAY_LACK[dialect])
            assert not validator.is_valid(other)
        assert not validator.is_valid({**document["fields"], "more": {"stringValue": "x"}})
