"""What `telemetry.status()` and `plaintally status` show: every rule, and the deciding one."""

from plaintally.consent import rules
from plaintally.contract import check_given
from plaintally.exceptions import ContractError
from plaintally.printable import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from plaintally import Telemetry

_VERDICTS = {True: "allows", False: "refuses", None: "-"}
_NAMES = {
    "counter": "import counter",
    "session_log": "session log",
    "automatic_sharing": "automatic sharing",
}


class Status:
    """The state of one package's telemetry; print it, or take `to_dict()`.

    Args:
        facts: what the decisions depend on.
        handle: the package's handle, or None.
    """

    def __init__(self, facts: rules.Facts, *, handle: "Telemetry | None") -> None:
        self.facts = facts
        self.handle = handle
        self.decisions = {switch: rules.decide(switch, facts) for switch in rules.SWITCHES}

    def to_dict(self) -> "dict[str, Any]":
        """All of it as plain JSON types."""
        switches = {}
        for switch, decision in self.decisions.items():
            switches[switch] = {
                "allowed": decision.allowed,
                "decided_by": _entry(decision),
                "rules": [
                    {**_entry(finding), "verdict": _VERDICTS[finding.verdict]}
                    for finding in decision.findings
                ],
            }
        handle = self.handle
        return {
            "package": self.facts.package,
            "policy": self.facts.policy if handle else None,
            "endpoint": str(self.facts.endpoint) if self.facts.endpoint else None,
            "fields": _fields(handle) if handle else None,
            "privacy_url": handle.privacy_url if handle else None,
            "issues_url": handle.issues_url if handle else None,
            "switches": switches,
        }

    def __repr__(self) -> str:
        return f"{self}"

    def __str__(self) -> str:
        lines = self._head()
        for switch, decision in self.decisions.items():
            lines += ["", *_table(switch, decision)]
        return "\n".join(lines)

    def _head(self) -> "list[str]":
        where = f"{self.facts.endpoint or 'none'} (set by {self.facts.endpoint_where})"
        rows = [("endpoint", where)]
        if self.handle is not None:
            rows += [
                ("an import sends", ", ".join(_fields(self.handle)) or "nothing"),
                ("mistake", _mistake(self.handle)),
                ("privacy", self.handle.privacy_url or ""),
                ("issues", self.handle.issues_url or ""),
            ]
            rows += _session_rows(self.handle)
        shown = [printable(f"  {name:<16} {value}") for name, value in rows if value]
        return [self.facts.package, *shown]


def _table(switch: str, decision: rules.Decision) -> "list[str]":
    state = "ON" if decision.allowed else "OFF"
    lines = [f"  {_NAMES[switch]}: {state}, because of {because(decision)}"]
    for finding in decision.findings:
        value = "not set" if finding.value is None else finding.value
        mark = ">" if finding is decision.finding else " "
        what = f"{_VERDICTS[finding.verdict]:<8} {finding.rule:<22} {value} ({finding.where})"
        lines.append(printable(f"  {mark} {what}"))
    return lines


def _fields(handle: "Telemetry") -> "list[str]":
    """Return the names of the fields that an import sends: none if they were declared wrongly."""
    try:
        return list(handle.fields)
    except (ContractError, AttributeError, TypeError):  # the latter two: it is not a contract
        return []


def _mistake(handle: "Telemetry") -> str:
    """Return what the author declared wrongly, which keeps the package from logging runs."""
    try:
        check_given(handle.contract)
    except ContractError as error:
        return f"{error}; nothing is logged, please report it to the package's author"
    return ""


def _session_rows(handle: "Telemetry") -> "list[tuple[str, str]]":
    """What this process has logged, and what the contract dropped."""
    session = handle._session
    if session is None or session is ...:
        return []
    stats = [session.stats(label) for label in session.labels]
    invokes = ", ".join(f"{found.label} {found.total_invokes}" for found in stats)
    dropped = [
        f"{key} of {found.label} ({count})"
        for found in stats
        for key, count in sorted(found.dropped.items())
    ]
    if session.dropped_labels:
        dropped.append(f"invokes of labels beyond the first 64 ({session.dropped_labels})")
    stream = session.sink
    shared = f"{stream.sent} invokes; {stream.dropped} did not fit" if stream is not None else ""
    if stream is not None and stream.obstacle:
        shared += f"; {stream.obstacle}"
    return [
        ("session", f"{session.id}: {invokes or 'nothing logged yet'}"),
        ("dropped", ", ".join(dropped)),
        ("shared by itself", shared),
    ]


def _entry(found: "rules.Decision | rules.Finding") -> "dict[str, str | None]":
    return {"rule": found.rule, "value": found.value, "where": found.where}


def because(decision: rules.Decision) -> str:
    """The rule that decided, in printable words."""
    return printable(f"the rule '{decision.rule}': {decision.value} ({decision.where})")
