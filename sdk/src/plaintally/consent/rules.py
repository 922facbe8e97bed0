"""Whether something may happen, and why: one pure function from facts to a decision.

Nothing here reads a file, a clock or the environment; `consent.facts` gathers the facts and passes
them in. The rules stand in one order, the first one that says anything decides, and every rule can
tell what it looked at.

An import loads this only if two short cuts do not apply, which are named after the rules that they
stand for: if `plaintally._variables_refuse`, nothing else is loaded, and if
`_count.default_decides`, the import is counted.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from plaintally._spawn import Endpoint

SWITCHES = ("counter", "session_log", "automatic_sharing")

NO = frozenset(("0", "false", "no", "off", "none", "disabled", "disable", "never", "n", "f"))
YES = frozenset(("1", "true", "yes", "on", "enabled", "enable", "always", "y", "t"))
_HARMLESS = {"CI": ("false", "0")}


class Layer:
    """A preferences file: its source, path, table, and problem (None if there is none).

    What a module asked for in this process is a layer, too: the farthest one, of the level
    `process`.
    """

    __slots__ = ("level", "path", "problem", "table")

    def __init__(
        self, level: str, path: str, table: "Mapping[str, Any]", problem: "str | None" = None
    ) -> None:
        self.level = level
        self.path = path
        self.table = table
        self.problem = problem

    @property
    def enforced(self) -> bool:
        """Whether what this file refuses is refused for everybody.

        A broken system file counts as such, and so does anything but true or false behind
        `enforce`.
        """
        is_strict = self.problem is not None or self.table.get("enforce", False) is not False
        return self.level == "system" and is_strict

    def may_allow(self, switch: str) -> bool:
        """Whether a yes in this file counts, or another setting in it that is not a no.

        A project's file comes with a clone and an environment's may come with a wheel, so they can
        only refuse. Sharing, which nobody but the user may turn on, is heard from the user's two
        files alone. What modules ask for in this process was looked at when they did.
        """
        is_users = self.level in ("user", "choices", "process")
        return is_users or (self.level == "system" and switch != "automatic_sharing")

    def refuses(self, package: str, switch: str) -> bool:
        """Return whether this file says no, or anything that is not a yes."""
        value = self.get(package, switch)
        return self.problem is not None or (value is not None and understand(value) is not True)

    def get(self, package: str, key: str) -> object:
        """What stands under `key` for the package, else for all packages, else None."""
        own = self.table.get("packages", {}).get(package, {})
        return own.get(key, self.table.get(key))

    def record(self, package: str, key: str) -> str:
        """Return who chose `key`, after a comma, or "" if it was written by hand."""
        own = self.table.get("packages", {}).get(package, {})
        written = (own if key in own else self.table).get(f"{key}_by")
        is_known = self.level == "choices" and isinstance(written, str)
        return f", recorded: {written}" if is_known else ""


class Finding:
    """What one rule looked at.

    `verdict` is True (allow), False (refuse) or None (says nothing); `value` is what was found
    there, None when nothing was; `where` names the place.
    """

    def __init__(self, rule: str, verdict: "bool | None", value: "str | None", where: str) -> None:
        self.rule = rule
        self.verdict = verdict
        self.value = value
        self.where = where


class Decision:
    """Whether a switch is on, and the rule that decided: its name, what was found there, and where.

    `note` says what came of a request that was not granted as it was made, or is empty.
    `findings` are those of all rules, and `finding` is the decisive one.
    """

    def __init__(self, finding: Finding, findings: "Sequence[Finding]") -> None:
        self.finding = finding
        self.findings = findings
        self.allowed = finding.verdict is True
        self.note = ""
        self.rule = finding.rule
        self.value = finding.value
        self.where = finding.where

    def __repr__(self) -> str:
        note = f", note={self.note!r}" if self.note else ""
        return (
            f"Decision(allowed={self.allowed}, rule={self.rule!r}, value={self.value!r}, "
            f"where={self.where!r}{note})"
        )


class Facts:
    """All that a decision depends on.

    Args:
        package: the package's name in lower case with underscores.
        environment: the process's environment variables.
        circumstances: by rule, the variables that tell of CI, a test run and the like.
        layers: the preferences files that exist, from the nearest (project) to the farthest
            (system).
        explicit: what was said in this very process about each switch.
        endpoint: the address counts go to, or None; `endpoint_where` names who set it, or what is
            wrong with it.
        policy: the author's policy, one of `opt-out`, `notice-first`, `opt-in`.
        notice_shown: whether a person has been shown the notice of this contract.
        pool_worker: whether this process is a worker of a multiprocessing pool.
        obstacles: for each switch, why this process can start none that sends; empty if it can.
    """

    def __init__(
        self,
        package: str,
        *,
        environment: "Mapping[str, str]",
        circumstances: "Mapping[str, Sequence[str]]",
        layers: "Sequence[Layer]" = (),
        explicit: "Mapping[str, bool] | None" = None,
        endpoint: "Endpoint | None" = None,
        endpoint_where: str = "the author of the package",
        policy: str = "opt-out",
        notice_shown: bool = False,
        pool_worker: bool = False,
        obstacles: "Mapping[str, str] | None" = None,
    ) -> None:
        self.package = package
        self.environment = environment
        self.circumstances = circumstances
        self.layers = layers
        self.explicit = explicit or {}
        self.endpoint = endpoint
        self.endpoint_where = endpoint_where
        self.policy = policy
        self.notice_shown = notice_shown
        self.pool_worker = pool_worker
        self.obstacles = obstacles or {}


def understand(value: object) -> "bool | None":
    """Whether a spelled-out word means yes (True) or no (False); None when nobody can tell."""
    word = str(value).strip().lower() if isinstance(value, (str, int)) else ""
    if word in YES:
        return True
    return False if word in NO else None


def decide(switch: str, facts: Facts) -> Decision:
    """Decide whether `switch` is on: the first rule with a verdict wins.

    A yes is refused all the same if there is no endpoint to send to, or no process that could send.
    """
    findings = list(examine(switch, facts))
    decisive = next(finding for finding in findings if finding.verdict is not None)
    if decisive.verdict:
        unable = (finding for finding in findings if finding.rule in ("endpoint", "sender"))
        decisive = next((finding for finding in unable if finding.verdict is False), decisive)
    return Decision(decisive, findings)


def examine(switch: str, facts: Facts) -> "Iterator[Finding]":
    """Look at every rule that speaks about `switch`, in the order in which they count.

    The session log stays on the machine, so what is about leaving it (DO_NOT_TRACK, CI, the
    endpoint) says nothing about it.
    """
    own, log_using = variables(facts.package)
    said = facts.explicit.get(switch)
    shown = None if said is None else str(said).lower()
    yield Finding("argument", said, shown, "said in this process")
    for layer in facts.layers:
        if layer.enforced:
            yield _enforced(layer, switch, facts)
    # A yes to telemetry as a whole is no request to share sessions.
    yield _variable("telemetry variable", own, facts, may_allow=switch != "automatic_sharing")
    if switch == "counter":
        yield _variable("log-using variable", log_using, facts, may_allow=True)
    yield _variable("plaintally variable", "PLAINTALLY", facts, may_allow=False)
    if switch != "session_log":
        yield _do_not_track(facts)
        for rule, names in facts.circumstances.items():
            yield from _circumstance(rule, names, facts.environment)
        worker = "started by a process pool" if facts.pool_worker else None
        yield Finding("pool worker", False if worker else None, worker, "this process")
        address = None if facts.endpoint else False
        yield Finding("endpoint", address, str(facts.endpoint or "none"), facts.endpoint_where)
        obstacle = facts.obstacles.get(switch) or None
        yield Finding("sender", False if obstacle else None, obstacle, "this process")
    for layer in facts.layers:
        if layer.level != "process" or layer.get(facts.package, switch) is not None:
            yield _preference(layer, switch, facts)
    yield _default(switch, facts)


def variables(package: str) -> "tuple[str, str]":
    """The two variables of a package, such as RXINFER_TELEMETRY and LOG_USING_RXINFER."""
    return f"{package.upper()}_TELEMETRY", f"LOG_USING_{package.upper()}"


def _enforced(layer: Layer, switch: str, facts: Facts) -> Finding:
    refused = layer.refuses(facts.package, switch)
    shown = _shown(layer, switch, layer.get(facts.package, switch))
    return Finding("enforced", False if refused else None, shown, layer.path)


def _do_not_track(facts: Facts) -> Finding:
    value = facts.environment.get("DO_NOT_TRACK")
    harmless = value is None or value.strip().lower() in ("", "0", "false", "no", "off")
    verdict = None if harmless else False
    return Finding("do-not-track variable", verdict, value, "DO_NOT_TRACK in the environment")


def _circumstance(
    rule: str, names: "Sequence[str]", environment: "Mapping[str, str]"
) -> "Iterator[Finding]":
    """Look at variables whose presence is enough, except for the values that mean the opposite."""
    present = [name for name in names if name in environment]
    for name in present:
        harmless = ("0",) if rule == "rank above 0" else _HARMLESS.get(name, ())
        is_harmless = environment[name].strip().lower() in harmless
        value = environment[name] if harmless else "set"
        yield Finding(rule, None if is_harmless else False, value, f"{name} in the environment")
    if not present:
        yield Finding(rule, None, None, "the environment")


def _preference(layer: Layer, switch: str, facts: Facts) -> Finding:
    """A yes in the user's file is not heard if the user chose no with the command."""
    value = layer.get(facts.package, switch)
    verdict = None
    if layer.refuses(facts.package, switch):
        verdict = False
    elif value is not None and layer.may_allow(switch):
        chosen = (other for other in facts.layers if other.level == "choices")
        verdict = None if any(other.refuses(facts.package, switch) for other in chosen) else True
    shown = _shown(layer, switch, value)
    rule = "module" if layer.level == "process" else "preferences"
    return Finding(rule, verdict, shown and shown + layer.record(facts.package, switch), layer.path)


def _default(switch: str, facts: Facts) -> Finding:
    if switch == "session_log":
        return Finding("default", True, "on", "kept in memory on this machine")
    if switch == "automatic_sharing":
        return Finding("default", False, "off", "only the user can turn it on")
    allowed = facts.policy == "opt-out"
    told = ""
    if facts.policy == "notice-first":
        allowed = facts.notice_shown
        told = ", notice shown" if allowed else ", notice not shown yet"
    return Finding("default", allowed, facts.policy + told, "the policy of the package's author")


def _variable(rule: str, name: str, facts: Facts, *, may_allow: bool) -> Finding:
    value = facts.environment.get(name)
    verdict = None if value is None else understand(value) is True
    if verdict and not may_allow:
        verdict = None
    shown = None if value is None else f"{value}{_unclear(value)}"
    return Finding(rule, verdict, shown, f"{name} in the environment")


def _shown(layer: Layer, switch: str, value: object) -> "str | None":
    if layer.problem is not None or value is None:
        return layer.problem
    word = str(value).lower() if isinstance(value, bool) else value
    return f"{switch} = {word}{_unclear(value)}"


def _unclear(value: object) -> str:
    return "" if understand(value) is not None else " (not understood, so it refuses)"
