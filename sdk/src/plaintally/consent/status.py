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

    __slots__ = ("decisions", "facts", "handle")

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
                    for finding in rules.examine(switch, self.facts)
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
        return "\n".join(
            [
                *self._head(),
                *(line for switch in self.decisions for line in ("", *self._table(switch))),
            ]
        )

    def _head(self) -> "list[str]":
        rows = [
            ("endpoint", f"{self.facts.endpoint or 'none'} (set by {self.facts.endpoint_where})"),
        ]
        if self.handle is not None:
            rows += [
                ("an import sends", ", ".join(_fields(self.handle)) or "nothing"),
                ("mistake", _mistake(self.handle)),
                ("privacy", self.handle.privacy_url or ""),
                ("issues", self.handle.issues_url or ""),
            ]
            rows += _session_rows(self.handle)
        return [
            self.facts.package,
            *(printable(f"  {name:<16} {value}") for name, value in rows if value),
        ]

    def _table(self, switch: str) -> "list[str]":
        decision = self.decisions[switch]
        decided = False
        lines = [
            (
                f"  {_NAMES[switch]}: {'ON' if decision.allowed else 'OFF'}, because of "
                f"{because(decision)}"
            )
        ]
        for finding in rules.examine(switch, self.facts):
            decides = (
                not decided and _entry(finding) == _entry(decision) and finding.verdict is not None
            )
            decided = decided or decides
            value = "not set" if finding.value is None else finding.value
            mark = ">" if decides else " "
            line = (
                f"  {mark} {_VERDICTS[finding.verdict]:<8} {finding.rule:<22} {value} "
                f"({finding.where})"
            )
            lines.append(printable(line))
        return lines


def _fields(handle: "Telemetry") -> "list[str]":
    """Return the names of the fields that an import sends: none if they were declared wrongly."""
    try:
        return list(handle.fields)
    except (
        ContractError,
        AttributeError,
        TypeError,
    ):
        # The latter two: the argument is not a contract.
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
    invokes = (
        ", ".join(f"{found.label} {found.total_invokes}" for found in stats) or "nothing logged yet"
    )
    dropped = [
        f"{key} of {found.label} ({count})"
        for found in stats
        for key, count in sorted(found.dropped.items())
    ]
    stream = session.sink
    shared = f"{stream.sent} invokes; {stream.dropped} did not fit" if stream is not None else ""
    if stream is not None and stream.obstacle:
        shared += f"; {stream.obstacle}"
    if session.dropped_labels:
        dropped.append(f"invokes of labels beyond the first 64 ({session.dropped_labels})")
    return [
        ("session", f"{session.id}: {invokes}"),
        ("dropped", ", ".join(dropped)),
        ("shared by itself", shared),
    ]


def _entry(found: "rules.Decision | rules.Finding") -> "dict[str, str | None]":
    return {"rule": found.rule, "value": found.value, "where": found.where}


def because(decision: rules.Decision) -> str:
    """The rule that decided, in printable words."""
    return printable(f"the rule '{decision.rule}': {decision.value} ({decision.where})")
