"""The pure decision: the order of its rules, and properties that hold whatever is said where."""

import contextlib
import copy
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from plaintally import _POLICIES, Telemetry, _count, _preferences, _variables_refuse
from plaintally._count import CIRCUMSTANCES
from plaintally._spawn import Endpoint, parse_endpoint
from plaintally.consent import rules
from plaintally.consent.facts import layers as read_layers
from plaintally.consent.facts import resolve_endpoint
from plaintally.consent.rules import SWITCHES, Decision, Facts, Layer, decide, examine

URL = "https://telemetry.example.org/v1/documents"
ENDPOINT = parse_endpoint(URL)
ORDER = (
    "argument",
    "enforced",
    "telemetry variable",
    "log-using variable",
    "plaintally variable",
    "do-not-track variable",
    *CIRCUMSTANCES,
    "pool worker",
    "endpoint",
    "sender",
    "preferences",
    "default",
)
WORDS = st.sampled_from(["1", "YES", "on", "0", "No", "off", "none", "", "perhaps", "2"])
VARIABLES = [
    "RXINFER_TELEMETRY",
    "LOG_USING_RXINFER",
    "PLAINTALLY",
    "DO_NOT_TRACK",
    "CI",
    "JENKINS_URL",
    "PYTEST_VERSION",
    "READTHEDOCS",
    "CLAUDECODE",
    "RANK",
]
ENVIRONMENTS = st.dictionaries(st.sampled_from(VARIABLES), WORDS)
TABLES = st.fixed_dictionaries(
    {
        "packages": st.dictionaries(
            st.just("rxinfer"), st.dictionaries(st.sampled_from(SWITCHES), WORDS | st.booleans())
        )
    },
    optional={**{switch: WORDS | st.booleans() for switch in SWITCHES}, "enforce": st.booleans()},
)


@st.composite
def layers(draw: st.DrawFn) -> list[Layer]:
    return [
        Layer(level, f"/{level}.toml", draw(TABLES), draw(st.none() | st.just("broken")))
        for level in ("project", "environment", "user", "choices", "system")
        if draw(st.booleans())
    ]


FACTS = st.builds(
    Facts,
    st.just("rxinfer"),
    environment=ENVIRONMENTS,
    circumstances=st.just(CIRCUMSTANCES),
    layers=layers(),
    explicit=st.dictionaries(st.sampled_from(SWITCHES), st.booleans()),
    endpoint=st.none() | st.just(ENDPOINT),
    policy=st.sampled_from(_POLICIES),
    notice_shown=st.booleans(),
    pool_worker=st.booleans(),
)


def facts(
    environment: Mapping[str, str] | None = None,
    *found: Layer,
    explicit: bool | None = None,
    policy: str = "opt-out",
    endpoint: Endpoint | None = ENDPOINT,
    notice_shown: bool = False,
) -> Facts:
    return Facts(
        "rxinfer",
        environment=environment or {},
        circumstances=CIRCUMSTANCES,
        layers=found,
        explicit={} if explicit is None else {"counter": explicit},
        policy=policy,
        endpoint=endpoint,
        notice_shown=notice_shown,
    )


def layer(
    level: str, *, own: object = None, everybody: object = None, enforce: bool = False
) -> Layer:
    table: dict[str, object] = {"packages": {} if own is None else {"rxinfer": {"counter": own}}}
    if everybody is not None:
        table["counter"] = everybody
    return Layer(level, f"/{level}.toml", {**table, "enforce": enforce})


OWN_FILES = ("/user.toml", "/choices.toml")
OWN_YES = {"RXINFER_TELEMETRY": "on"}
OWN_NO = {"RXINFER_TELEMETRY": "off"}


@pytest.mark.parametrize(
    ("known", "allowed", "rule"),
    [
        (facts(), True, "default"),
        (facts(policy="opt-in"), False, "default"),
        (facts(policy="notice-first"), False, "default"),
        (facts(policy="notice-first", notice_shown=True), True, "default"),
        # What is said in this process is the first word and the last one, but for an address that
        # is not there.
        (
            facts({**OWN_NO, "CI": "1"}, layer("user", own=False), explicit=True, policy="opt-in"),
            True,
            "argument",
        ),
        (facts(explicit=True, endpoint=None), False, "endpoint"),
        (facts(OWN_YES, explicit=False), False, "argument"),
        # A system file that enforces can only refuse.
        (facts(OWN_YES, layer("system", everybody=False, enforce=True)), False, "enforced"),
        (facts(OWN_NO, layer("system", everybody=True, enforce=True)), False, "telemetry variable"),
        (
            facts({}, layer("user", own=False), layer("system", own=True, enforce=True)),
            False,
            "preferences",
        ),
        # The package's own variables beat what is said to everybody.
        (facts({**OWN_YES, "LOG_USING_RXINFER": "0"}), True, "telemetry variable"),
        (facts({"LOG_USING_RXINFER": "true", "PLAINTALLY": "off"}), True, "log-using variable"),
        (
            facts({"LOG_USING_RXINFER": "1", "DO_NOT_TRACK": "1", "CI": "true"}),
            True,
            "log-using variable",
        ),
        (facts({"LOG_USING_RXINFER": "1"}, policy="opt-in"), True, "log-using variable"),
        (facts(OWN_YES, layer("user", own=False)), True, "telemetry variable"),
        (facts(OWN_YES, endpoint=None), False, "endpoint"),
        # PLAINTALLY and the circumstances can only refuse.
        (facts({"PLAINTALLY": "on"}, policy="opt-in"), False, "default"),
        (facts({"PLAINTALLY": "on", "DO_NOT_TRACK": "1"}), False, "do-not-track variable"),
        (facts({"PLAINTALLY": "no", "DO_NOT_TRACK": "1"}), False, "plaintally variable"),
        (facts({"CI": "true"}, layer("user", own=True)), False, "CI"),
        (facts({"CI": "true"}, endpoint=None), False, "CI"),
        # Files: the nearest first; in each the package before everybody; what came along can only
        # refuse.
        (facts({}, layer("project", own=True), policy="opt-in"), False, "default"),
        (facts({}, layer("project", own=False), layer("user", own=True)), False, "preferences"),
        (
            facts({}, layer("environment", own=True), layer("user", everybody=False)),
            False,
            "preferences",
        ),
        (facts({}, layer("environment", own=True), policy="opt-in"), False, "default"),
        (facts({}, layer("system", own=True), policy="opt-in"), True, "preferences"),
        (facts({}, layer("user", own=True, everybody=False)), True, "preferences"),
        (facts({}, layer("user", own=False, everybody=True)), False, "preferences"),
        (facts({}, layer("user", everybody=True), policy="opt-in"), True, "preferences"),
        (facts({}, layer("user", own="perhaps"), layer("system", own=True)), False, "preferences"),
        (
            facts({}, Layer("user", "/user.toml", {}, "broken"), layer("system", own=True)),
            False,
            "preferences",
        ),
        # What is written by hand comes before what is chosen with the command, but a no in either
        # is always heard.
        (facts({}, layer("user", own=True), layer("choices", own=False)), False, "preferences"),
        (facts({}, layer("user", own=False), layer("choices", own=True)), False, "preferences"),
        (
            facts({}, layer("user", own=True), layer("choices", everybody=False)),
            False,
            "preferences",
        ),
        (facts({}, layer("user", own=True), layer("choices", own="perhaps")), False, "preferences"),
        (
            facts({}, layer("user", own=True), Layer("choices", "/c", {}, "broken")),
            False,
            "preferences",
        ),
        (facts({}, layer("choices", own=True), policy="opt-in"), True, "preferences"),
        (facts({}, layer("choices", own=True, everybody=False)), True, "preferences"),
        (facts({}, layer("choices", own=False), layer("system", own=True)), False, "preferences"),
        (
            facts(OWN_YES, layer("user", own=True), layer("choices", own=False)),
            True,
            "telemetry variable",
        ),
        (facts(OWN_YES, Layer("system", "/system.toml", {}, "broken")), False, "enforced"),
    ],
)
def test_the_first_rule_with_a_word_to_say_decides(known: Facts, allowed: bool, rule: str) -> None:  # noqa: FBT001
    decision = decide("counter", known)
    assert (decision.allowed, decision.rule) == (allowed, rule)


@pytest.mark.parametrize("word", ["0", "false", "no", "off", "none", "disabled"])
@pytest.mark.parametrize("spelled", [str.lower, str.upper, str.title, lambda word: f" {word}\t"])
def test_every_spelling_of_no_is_understood(word: str, spelled: object) -> None:
    assert rules.understand(spelled(word)) is False  # type: ignore[operator]


@pytest.mark.parametrize("value", ["", "perhaps", 2, 0.0, None, [], {"yes": 1}])
def test_what_nobody_understands_is_no_answer(value: object) -> None:
    assert rules.understand(value) is None


def test_the_decision_tells_the_variable_of_a_circumstance_but_not_its_value() -> None:
    for rule, names in CIRCUMSTANCES.items():
        for name in names:
            decision = decide("counter", facts({name: "canary"}))
            assert (decision.rule, decision.where) == (rule, f"{name} in the environment")
            assert decision.value == ("canary" if name == "CI" or rule == "rank above 0" else "set")


@given(
    environment=ENVIRONMENTS, tables=st.lists(TABLES, max_size=2), policy=st.sampled_from(_POLICIES)
)
def test_what_is_refused_at_once_is_refused_by_the_rules(
    environment: Mapping[str, str], tables: list[Mapping[str, object]], policy: str
) -> None:
    """The short way out at a host's import never refuses what the rules would let pass."""
    layers = [Layer("user", f"/{index}", table) for index, table in enumerate(tables)]
    known = Facts(
        "rxinfer",
        environment=environment,
        circumstances=CIRCUMSTANCES,
        layers=layers,
        endpoint=ENDPOINT,
        policy=policy,
    )
    assert not (_variables_refuse("rxinfer", environment) and decide("counter", known).allowed)


@given(
    environment=ENVIRONMENTS,
    said=st.sampled_from(
        [
            None,
            "",
            "# no\n",
            "counter = false\n",
            "counter = true\n",
            'endpoint = "none"\n',
            "counter =",
        ]
    ),
    project=st.sampled_from(
        [None, "[tool.other]\n", "[tool.plaintally]\ncounter = false\n", '"plaintally']
    ),
    policy=st.sampled_from(_POLICIES),
)
def test_what_is_counted_at_once_is_counted_by_the_authors_default(
    tmp_path_factory: pytest.TempPathFactory,
    environment: Mapping[str, str],
    said: str | None,
    project: str | None,
    policy: str,
) -> None:
    """The short way at a host's import is taken only where the rules would say the same."""
    folder = tmp_path_factory.mktemp("silence")
    whole = {**environment, "HOME": str(folder), "APPDATA": str(folder)}
    for path, content in (
        (Path(_preferences.paths(whole)["user"]), said),
        (folder / "pyproject.toml", project),
    ):
        if content is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
    with contextlib.chdir(folder):
        silent = _count.default_decides(Telemetry("rxinfer", endpoint=URL, policy=policy), whole)
        layers = read_layers(whole)
    decision = decide(
        "counter",
        Facts(
            "rxinfer",
            environment=whole,
            circumstances=CIRCUMSTANCES,
            layers=layers,
            endpoint=ENDPOINT,
            policy=policy,
        ),
    )
    assert not silent or (decision.allowed, decision.rule) == (True, "default")
    assert (
        silent
        or environment
        or said
        or (project and "plaintally" in project)
        or policy != "opt-out"
    )


@given(FACTS, st.sampled_from(SWITCHES))
def test_a_decision_is_one_of_the_findings_that_explain_it(known: Facts, switch: str) -> None:
    decision = decide(switch, known)
    findings = list(examine(switch, known))
    found = list(dict.fromkeys(finding.rule for finding in findings))
    assert found == [rule for rule in ORDER if rule in found]
    explained = [(found.rule, found.value, found.where, found.verdict) for found in findings]
    assert (decision.rule, decision.value, decision.where, decision.allowed) in explained


@given(FACTS)
def test_without_an_endpoint_nothing_that_leaves_is_on(known: Facts) -> None:
    known.endpoint = None
    assert not decide("counter", known).allowed
    assert not decide("automatic_sharing", known).allowed


@given(FACTS)
def test_without_a_process_that_sends_nothing_that_leaves_is_on(known: Facts) -> None:
    known.obstacles = {"counter": "there is no /bin/sh", "automatic_sharing": "there is no /bin/sh"}
    assert not decide("counter", known).allowed
    assert not decide("automatic_sharing", known).allowed


@given(FACTS)
def test_only_the_user_can_turn_sharing_on(known: Facts) -> None:
    """Neither the author's policy, nor a file that came with a clone or a wheel, nor a variable
    can."""
    decision = decide("automatic_sharing", known)
    by_user = decision.rule == "argument" or (
        decision.rule == "preferences" and decision.where in OWN_FILES
    )
    assert by_user or not decision.allowed


@pytest.mark.parametrize(
    "name", ["PLAINTALLY", "DO_NOT_TRACK", "CI", "RXINFER_TELEMETRY", "LOG_USING_RXINFER"]
)
@given(known=FACTS)
@example(known=facts())
def test_a_no_in_the_environment_is_never_turned_into_a_yes(name: str, known: Facts) -> None:
    """What was said in this process is stronger, and so is a yes of the package's own variables."""
    refusing = copy.copy(known)
    refusing.environment = {
        **known.environment,
        name: {"DO_NOT_TRACK": "1", "CI": "true"}.get(name, "off"),
    }
    own = refusing.environment.get("RXINFER_TELEMETRY")
    log_using = refusing.environment.get("LOG_USING_RXINFER") if own is None else None
    stronger = [known.explicit.get("counter"), *map(rules.understand, (own, log_using))]
    assert not decide("counter", refusing).allowed or True in stronger


@given(FACTS)
def test_the_session_log_is_about_this_machine_only(known: Facts) -> None:
    """What concerns leaving the machine says nothing about a log that does not."""
    local = decide("session_log", known)
    known.environment = {
        name: word
        for name, word in known.environment.items()
        if name in ("RXINFER_TELEMETRY", "PLAINTALLY")
    }
    known.endpoint = None
    known.pool_worker = False
    again: Decision = decide("session_log", known)
    assert repr(local) == repr(again)


@pytest.mark.parametrize(
    ("written", "chosen", "expected"),
    [
        ("https://a.test/x", "https://b.test/x", "https://a.test/x"),
        (None, "https://b.test/x", "https://b.test/x"),
        ("https://a.test/x", "none", "None"),
        ("none", "https://b.test/x", "None"),
        ("https://a.test/x", "ftp://b.test", "None"),
    ],
)
def test_no_endpoint_in_either_of_the_users_files_is_heard(
    written: str | None, chosen: str, expected: str
) -> None:
    said = {"user": written, "choices": chosen}
    layers = [
        Layer(level, f"/{level}.toml", {"endpoint": url} if url else {})
        for level, url in said.items()
    ]
    endpoint, _ = resolve_endpoint(Telemetry("rxinfer", endpoint=URL), layers)
    assert str(endpoint) == expected
