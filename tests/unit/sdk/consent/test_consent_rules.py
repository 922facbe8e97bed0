"""The consent decision as tables: what each rule finds, and who may turn something on."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from plaintally._count import CIRCUMSTANCES
from plaintally._spawn import Endpoint, parse_endpoint
from plaintally.consent.rules import (
    NO,
    SWITCHES,
    YES,
    Facts,
    Layer,
    decide,
    examine,
    understand,
    variables,
)

ENDPOINT = parse_endpoint("https://telemetry.example.org/v1/documents")
LEVELS = ("process", "project", "environment", "user", "choices", "system")
USERS = ("process", "user", "choices")
Found = tuple[str, bool | None, str | None, str]


def make_facts(
    environment: Mapping[str, str] | None = None,
    *layers: Layer,
    explicit: Mapping[str, bool] | None = None,
    policy: str = "opt-out",
    notice_shown: bool = False,
    endpoint: Endpoint | None = ENDPOINT,
    obstacles: Mapping[str, str] | None = None,
    pool_worker: bool = False,
) -> Facts:
    return Facts(
        "rxinfer",
        environment=environment or {},
        circumstances=CIRCUMSTANCES,
        layers=layers,
        explicit=explicit,
        policy=policy,
        notice_shown=notice_shown,
        endpoint=endpoint,
        obstacles=obstacles,
        pool_worker=pool_worker,
    )


def make_layer(
    level: str,
    problem: str | None = None,
    own: Mapping[str, Any] | None = None,
    **table: Any,  # noqa: ANN401
) -> Layer:
    packages = {} if own is None else {"rxinfer": own}
    return Layer(level, f"/{level}.toml", {"packages": packages, **table}, problem)


def found(switch: str, facts: Facts, *rules: str) -> Sequence[Found]:
    """Return what the rules found, of those that are named or of all."""
    findings = [(one.rule, one.verdict, one.value, one.where) for one in examine(switch, facts)]
    return [finding for finding in findings if finding[0] in rules or not rules]


def test_the_switches_and_what_is_assumed_if_nothing_is_given() -> None:
    assert SWITCHES == ("counter", "session_log", "automatic_sharing")
    facts = Facts("rxinfer", environment={}, circumstances={})
    assert (facts.policy, facts.endpoint, facts.endpoint_where) == (
        "opt-out",
        None,
        "the author of the package",
    )
    assert (facts.notice_shown, facts.pool_worker, facts.explicit, facts.obstacles) == (
        False,
        False,
        {},
        {},
    )
    assert list(facts.layers) == []


# --- Words ---


def test_the_words_for_yes_and_no() -> None:
    assert set(NO) == {"0", "false", "no", "off", "none", "disabled", "disable", "never", "n", "f"}
    assert set(YES) == {"1", "true", "yes", "on", "enabled", "enable", "always", "y", "t"}


@pytest.mark.parametrize(
    ("value", "meaning"),
    [
        ("yes", True),
        (" ON\t", True),
        ("False", False),
        ("\nnone ", False),
        (True, True),
        (False, False),
        (1, True),
        (0, False),
        ("", None),
        ("perhaps", None),
        (2, None),
        (1.0, None),
        (None, None),
        (["no"], None),
        (b"no", None),
    ],
)
def test_a_word_is_understood(value: object, meaning: bool | None) -> None:  # noqa: FBT001
    assert understand(value) is meaning


# --- Preference sources ---


@pytest.mark.parametrize("switch", [*SWITCHES, "endpoint"])
def test_who_may_turn_something_on(switch: str) -> None:
    """Files of a clone or a wheel may not; the system's file may, except for sharing."""
    allowed = {level for level in LEVELS if make_layer(level).may_allow(switch)}
    assert allowed == {*USERS} | ({"system"} if switch != "automatic_sharing" else set())


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("place", ["package", "all packages"])
def test_only_the_users_own_file_turns_sharing_on(level: str, place: str) -> None:
    for said in (True, "on"):
        own: dict[str, Any] = {"automatic_sharing": said}
        layer = make_layer(level, own=own) if place == "package" else make_layer(level, **own)
        decision = decide("automatic_sharing", make_facts({}, layer))
        by_user = level in USERS
        assert (decision.allowed, decision.where) == (
            by_user,
            layer.path if by_user else "only the user can turn it on",
        )


@pytest.mark.parametrize(
    ("level", "problem", "table", "is_enforced"),
    [
        ("system", None, {}, False),
        ("system", None, {"enforce": False}, False),
        ("system", None, {"enforce": True}, True),
        ("system", None, {"enforce": "perhaps"}, True),
        ("system", None, {"enforce": 0}, True),
        ("system", "broken", {}, True),
        ("user", None, {"enforce": True}, False),
        ("user", "broken", {}, False),
    ],
)
def test_a_system_file_is_enforced(
    level: str,
    problem: str | None,
    table: Mapping[str, Any],
    is_enforced: bool,  # noqa: FBT001
) -> None:
    assert make_layer(level, problem, **table).enforced is is_enforced


@pytest.mark.parametrize(
    ("own", "table", "value"),
    [
        (None, {}, None),
        (None, {"counter": False}, False),
        ({"counter": True}, {"counter": False}, True),
        ({"session_log": True}, {"counter": False}, False),
    ],
)
def test_a_package_comes_before_all_packages(
    own: Mapping[str, Any] | None, table: Mapping[str, Any], value: object
) -> None:
    assert make_layer("user", own=own, **table).get("rxinfer", "counter") is value
    assert make_layer("user", own=own, **table).get("other", "counter") is table.get("counter")
    assert Layer("user", "/user.toml", table).get("rxinfer", "counter") is table.get("counter")


@pytest.mark.parametrize(
    ("level", "own", "table", "told"),
    [
        ("choices", None, {}, ""),
        ("choices", None, {"counter": False, "counter_by": "me"}, ", recorded: me"),
        ("choices", {"counter": True, "counter_by": "it"}, {"counter_by": "me"}, ", recorded: it"),
        ("choices", {"counter": True}, {"counter_by": "me"}, ""),
        ("choices", {"counter_by": "it"}, {"counter_by": "me"}, ", recorded: me"),
        ("choices", None, {"counter_by": 3}, ""),
        ("user", None, {"counter_by": "me"}, ""),
    ],
)
def test_a_choice_names_who_wrote_it(
    level: str, own: Mapping[str, Any] | None, table: Mapping[str, Any], told: str
) -> None:
    assert make_layer(level, own=own, **table).record("rxinfer", "counter") == told
    assert Layer("user", "/user.toml", {}).record("rxinfer", "counter") == ""


# --- What each rule finds ---

ENDPOINT_WHERE = "the author of the package"
NOTHING = {
    "argument": ("argument", None, None, "said in this process"),
    "telemetry variable": (
        "telemetry variable",
        None,
        None,
        "RXINFER_TELEMETRY in the environment",
    ),
    "log-using variable": (
        "log-using variable",
        None,
        None,
        "LOG_USING_RXINFER in the environment",
    ),
    "plaintally variable": ("plaintally variable", None, None, "PLAINTALLY in the environment"),
    "do-not-track variable": (
        "do-not-track variable",
        None,
        None,
        "DO_NOT_TRACK in the environment",
    ),
    **{rule: (rule, None, None, "the environment") for rule in CIRCUMSTANCES},
    "pool worker": ("pool worker", None, None, "this process"),
    "endpoint": ("endpoint", None, str(ENDPOINT), ENDPOINT_WHERE),
    "sender": ("sender", None, None, "this process"),
}
DEFAULTS = {
    "counter": ("default", True, "opt-out", "the policy of the package's author"),
    "session_log": ("default", True, "on", "kept in memory on this machine"),
    "automatic_sharing": ("default", False, "off", "only the user can turn it on"),
}
LEFT_OUT = {
    "counter": (),
    "session_log": (
        "log-using variable",
        "do-not-track variable",
        *CIRCUMSTANCES,
        "pool worker",
        "endpoint",
        "sender",
    ),
    "automatic_sharing": ("log-using variable",),
}


@pytest.mark.parametrize("switch", SWITCHES)
def test_if_nothing_was_said_the_default_decides(switch: str) -> None:
    expected = [finding for rule, finding in NOTHING.items() if rule not in LEFT_OUT[switch]]
    assert found(switch, make_facts()) == [*expected, DEFAULTS[switch]]
    decision = decide(switch, make_facts())
    assert (decision.allowed, decision.note) == (DEFAULTS[switch][1], "")
    assert ("default", *DEFAULTS[switch][2:]) == (decision.rule, decision.value, decision.where)
    assert decision.finding is decision.findings[-1]


def test_the_variables_of_a_package() -> None:
    assert variables("my_pkg") == ("MY_PKG_TELEMETRY", "LOG_USING_MY_PKG")


@pytest.mark.parametrize(
    ("rule", "name", "switch", "may_allow"),
    [
        ("telemetry variable", "RXINFER_TELEMETRY", "counter", True),
        ("telemetry variable", "RXINFER_TELEMETRY", "session_log", True),
        ("telemetry variable", "RXINFER_TELEMETRY", "automatic_sharing", False),
        ("log-using variable", "LOG_USING_RXINFER", "counter", True),
        ("plaintally variable", "PLAINTALLY", "counter", False),
        ("plaintally variable", "PLAINTALLY", "session_log", False),
        ("plaintally variable", "PLAINTALLY", "automatic_sharing", False),
    ],
)
def test_a_variable(rule: str, name: str, switch: str, may_allow: bool) -> None:  # noqa: FBT001
    for value, verdict, shown in (
        ("on", may_allow or None, "on"),
        ("off", False, "off"),
        ("", False, " (not understood, so it refuses)"),
        ("perhaps", False, "perhaps (not understood, so it refuses)"),
    ):
        assert found(switch, make_facts({name: value}), rule) == [
            (rule, verdict, shown, f"{name} in the environment")
        ]


@pytest.mark.parametrize(
    ("value", "verdict"),
    [
        ("1", False),
        ("yes", False),
        ("perhaps", False),
        ("none", False),
        ("", None),
        ("0", None),
        (" False", None),
        ("NO", None),
        ("off", None),
    ],
)
@pytest.mark.parametrize("switch", ["counter", "automatic_sharing"])
def test_do_not_track(switch: str, value: str, verdict: bool | None) -> None:  # noqa: FBT001
    [finding] = found(switch, make_facts({"DO_NOT_TRACK": value}), "do-not-track variable")
    assert finding == ("do-not-track variable", verdict, value, "DO_NOT_TRACK in the environment")


@pytest.mark.parametrize("rule", CIRCUMSTANCES)
@pytest.mark.parametrize("switch", ["counter", "automatic_sharing"])
def test_a_circumstance(switch: str, rule: str) -> None:
    """The presence of a variable is enough, except for CI and ranks, whose value is shown."""
    for name in CIRCUMSTANCES[rule]:
        has_value = name == "CI" or rule == "rank above 0"
        for value, harmless in (
            ("1", False),
            ("true", False),
            ("", False),
            ("0", has_value),
            (" 0 ", has_value),
            ("False", name == "CI"),
        ):
            shown = value if has_value else "set"
            [finding] = found(switch, make_facts({name: value}), rule)
            assert finding == (
                rule,
                None if harmless else False,
                shown,
                f"{name} in the environment",
            )
    both = found(switch, make_facts({"OMPI_COMM_WORLD_RANK": "0", "RANK": "1"}), "rank above 0")
    assert [finding[1:3] for finding in both] == [(None, "0"), (False, "1")]


def test_what_prevents_sending() -> None:
    for switch in ("counter", "automatic_sharing"):
        worker = found(switch, make_facts(pool_worker=True), "pool worker")
        assert worker == [("pool worker", False, "started by a process pool", "this process")]
        assert found(switch, make_facts(endpoint=None), "endpoint") == [
            ("endpoint", False, "none", ENDPOINT_WHERE)
        ]
        unable = make_facts(obstacles={switch: "there is no /bin/sh"})
        assert found(switch, unable, "sender") == [
            ("sender", False, "there is no /bin/sh", "this process")
        ]
        assert not decide(switch, unable).allowed
        other = make_facts(obstacles={"session_log": "other", switch: ""})
        assert found(switch, other, "sender") == [NOTHING["sender"]]


@pytest.mark.parametrize("switch", SWITCHES)
def test_what_was_said_in_the_process(switch: str) -> None:
    for said, word in ((True, "true"), (False, "false")):
        facts = make_facts({"PLAINTALLY": "off"}, explicit={switch: said}, policy="opt-in")
        assert found(switch, facts)[0] == ("argument", said, word, "said in this process")
        assert (decide(switch, facts).rule, decide(switch, facts).allowed) == ("argument", said)
        [other] = found(next(one for one in SWITCHES if one != switch), facts, "argument")
        assert other == NOTHING["argument"]


@pytest.mark.parametrize(
    ("policy", "shown", "allowed", "value"),
    [
        ("opt-out", False, True, "opt-out"),
        ("opt-out", True, True, "opt-out"),
        ("notice-first", False, False, "notice-first, notice not shown yet"),
        ("notice-first", True, True, "notice-first, notice shown"),
        ("opt-in", False, False, "opt-in"),
        ("opt-in", True, False, "opt-in"),
    ],
)
def test_the_policy_of_the_author(policy: str, shown: bool, allowed: bool, value: str) -> None:  # noqa: FBT001
    facts = make_facts(policy=policy, notice_shown=shown)
    assert found("counter", facts)[-1] == (
        "default",
        allowed,
        value,
        "the policy of the package's author",
    )
    assert decide("counter", facts).allowed is allowed
    for switch in ("session_log", "automatic_sharing"):
        assert found(switch, facts)[-1] == DEFAULTS[switch]


@pytest.mark.parametrize("switch", SWITCHES)
@pytest.mark.parametrize("level", LEVELS)
def test_a_preference(switch: str, level: str) -> None:
    rule = "module" if level == "process" else "preferences"
    yes = True if make_layer(level).may_allow(switch) else None
    unclear = " (not understood, so it refuses)"
    for value, verdict, shown in (
        (True, yes, "true"),
        (False, False, "false"),
        ("On", yes, "On"),
        ("no", False, "no"),
        (2, False, f"2{unclear}"),
        ("perhaps", False, f"perhaps{unclear}"),
        ([], False, f"[]{unclear}"),
    ):
        layer = make_layer(level, own={switch: value})
        expected = [(rule, verdict, f"{switch} = {shown}", layer.path)]
        assert found(switch, make_facts({}, layer), rule) == expected
        assert decide(switch, make_facts({}, layer)).allowed is (
            verdict if verdict is not None else switch != "automatic_sharing"
        )


@pytest.mark.parametrize("level", LEVELS)
def test_a_source_that_says_nothing_of_a_switch(level: str) -> None:
    """A file is listed all the same; a module's request only with the switch that it concerns."""
    layer = make_layer(level, own={"counter": False})
    expected = [] if level == "process" else [("preferences", None, None, layer.path)]
    assert found("session_log", make_facts({}, layer), "module", "preferences") == expected


@pytest.mark.parametrize("switch", SWITCHES)
def test_a_broken_file_refuses_everything(switch: str) -> None:
    for level in ("project", "environment", "user", "choices"):
        facts = make_facts(
            {},
            make_layer(level, "broken", own={switch: True}),
            make_layer("system", own={switch: True}),
        )
        expected = [("preferences", False, "broken", f"/{level}.toml")]
        assert found(switch, facts, "preferences")[:1] == expected
        assert not decide(switch, facts).allowed
    system = make_layer("system", "broken", own={switch: True})
    [finding] = found(switch, make_facts({"RXINFER_TELEMETRY": "on"}, system), "enforced")
    assert finding == ("enforced", False, "broken", "/system.toml")


def test_a_preference_names_who_wrote_it() -> None:
    layer = make_layer("choices", counter=False, counter_by="the command on 2026-11-30")
    [finding] = found("counter", make_facts({}, layer), "preferences")
    assert finding[2] == "counter = false, recorded: the command on 2026-11-30"


@pytest.mark.parametrize("switch", SWITCHES)
def test_a_no_of_the_command_is_heard_whatever_stands_in_a_file(switch: str) -> None:
    for said, problem, is_yes in (
        (True, None, True),
        (None, None, True),
        (False, None, False),
        ("perhaps", None, False),
        (True, "broken", False),
    ):
        own = {} if said is None else {switch: said}
        layers = [make_layer("user", own={switch: True}), make_layer("choices", problem, own)]
        by_user = found(switch, make_facts({}, *layers), "preferences")[0]
        assert by_user[1] is (True if is_yes else None)
        assert decide(switch, make_facts({}, *layers)).allowed is is_yes
        decision = decide(
            switch, make_facts({}, make_layer("user", own={switch: False}), layers[1])
        )
        assert (decision.allowed, decision.where) == (False, "/user.toml")
    other = {next(one for one in SWITCHES if one != switch): False}
    layers = [make_layer("user", own={switch: True}), make_layer("choices", own=other)]
    assert decide(switch, make_facts({}, *layers)).where == "/user.toml"


@pytest.mark.parametrize("switch", SWITCHES)
def test_an_enforced_system_file_can_only_refuse(switch: str) -> None:
    for value, verdict in (
        (True, None),
        ("on", None),
        (False, False),
        ("perhaps", False),
        (None, None),
    ):
        own = {} if value is None else {switch: value}
        facts = make_facts({"RXINFER_TELEMETRY": "on"}, make_layer("system", own=own, enforce=True))
        [finding] = found(switch, facts, "enforced")
        assert (finding[1], finding[3]) == (verdict, "/system.toml")
        assert (decide(switch, facts).rule == "enforced") is (verdict is False)
    for layer in (
        make_layer("system", own={switch: False}),
        make_layer("user", own={switch: False}, enforce=True),
    ):
        assert found(switch, make_facts({}, layer), "enforced") == []


# --- The order ---


def test_the_first_rule_with_a_verdict_decides() -> None:
    """Everything says no; the rules are silenced one after another, the strongest first."""
    environment = {
        "RXINFER_TELEMETRY": "off",
        "LOG_USING_RXINFER": "off",
        "PLAINTALLY": "off",
        "DO_NOT_TRACK": "1",
    }
    environment |= {names[0]: "1" for names in CIRCUMSTANCES.values()}
    layers = [
        make_layer(level, counter=False, enforce=level == "system") for level in reversed(LEVELS)
    ]
    facts = make_facts(
        environment,
        *layers,
        explicit={"counter": False},
        pool_worker=True,
        endpoint=None,
        obstacles={"counter": "no"},
        policy="opt-in",
    )
    decided = []
    silences: list[Callable[[], object]] = [
        lambda: setattr(facts, "explicit", {}),
        lambda: layers[0].table.pop("counter"),  # type: ignore[attr-defined]
        *(lambda name=name: environment.pop(name) for name in list(environment)),
        lambda: setattr(facts, "pool_worker", False),
        lambda: setattr(facts, "endpoint", ENDPOINT),
        lambda: setattr(facts, "obstacles", {}),
        *(lambda layer=layer: layer.table.pop("counter") for layer in layers[1:]),
    ]
    for silence in silences:
        decided.append(decide("counter", facts).rule)
        silence()
    decided.append(decide("counter", facts).rule)
    assert decided == [
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
        *["preferences"] * 4,
        "module",
        "default",
    ]


def test_a_yes_is_refused_if_nothing_could_be_sent() -> None:
    for facts in (
        make_facts({"RXINFER_TELEMETRY": "on"}, endpoint=None),
        make_facts(explicit={"counter": True}, endpoint=None, obstacles={"counter": "no"}),
    ):
        decision = decide("counter", facts)
        assert (decision.allowed, decision.rule, decision.value, decision.where) == (
            False,
            "endpoint",
            "none",
            ENDPOINT_WHERE,
        )
    unable = make_facts({"LOG_USING_RXINFER": "1"}, obstacles={"counter": "no"})
    assert (decide("counter", unable).allowed, decide("counter", unable).rule) == (False, "sender")
    strong = make_facts({"RXINFER_TELEMETRY": "off"}, endpoint=None)
    assert decide("counter", strong).rule == "telemetry variable"
    beats = make_facts(
        {"RXINFER_TELEMETRY": "on", "DO_NOT_TRACK": "1", "CI": "1"}, pool_worker=True
    )
    assert (decide("counter", beats).allowed, decide("counter", beats).rule) == (
        True,
        "telemetry variable",
    )


def test_the_nearest_file_decides() -> None:
    facts = make_facts({}, make_layer("project", counter=True), make_layer("user", counter=False))
    assert decide("counter", facts).where == "/user.toml"  # a project can only refuse
    facts = make_facts(
        {}, make_layer("environment", counter=False), make_layer("user", counter=True)
    )
    assert decide("counter", facts).where == "/environment.toml"
    facts = make_facts({}, make_layer("user", counter=True), make_layer("system", counter=False))
    assert decide("counter", facts).where == "/user.toml"  # only a choice of the user silences it
