"""What may be recorded about the use of a package, declared once.

From this one declaration come the fields that the client sends, the fields that the collector
accepts, the notice, `plaintally status`, the columns of a summary and the privacy page. A field
that is not in it cannot leave, and cannot be stored.

    contract = Contract(
        counter=["package_version"],
        labels={
            "inference": Label(
                purpose="to see which models are used, and to help when one fails",
                context={
                    "model_name": Choice("local_level", "local_linear_trend"),
                    "iterations": Integer(0, 1_000_000),
                    "data": Description(names=["y"]),
                    "error": ErrorType(),
                },
            )
        },
    )
"""

from plaintally.contract.fields import (
    KINDS,
    Choice,
    Description,
    ErrorMessage,
    ErrorType,
    Flag,
    Integer,
    Kind,
    Name,
    Real,
    Source,
    require,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any

__all__ = [
    "ALWAYS",
    "COARSE",
    "DIALECTS",
    "Choice",
    "Contract",
    "Description",
    "ErrorMessage",
    "ErrorType",
    "Flag",
    "Integer",
    "Kind",
    "Label",
    "Name",
    "Real",
    "Source",
    "check_given",
]

ALWAYS = ("id", "timestamp")
"""The fields of every import: a random UUID of this process, and the hour in UTC."""

COARSE = {
    "package_version": "the version of the package that was imported",
    "python_version": "the Python version, major and minor number only",
}
"""The closed list of fields that an author may add to an import, with what each one holds."""

DIALECTS = ("rxinfer",)
"""Shapes of documents that existed before this package: those of RxInfer.jl."""

MAX_LABELS = MAX_FIELDS = 64


class Label:
    """What is recorded of the invokes of one kind.

    Args:
        context: by key, the kind of value that may stand there.
        purpose: why it is recorded, in a line for the user.
        columns: what a summary shows, as titles with the key that stands below; by default every
            key but the texts that stay on the machine.
        retention_days: the days for which a collector keeps the contexts.

    An `ErrorType` under the key K brings the key K_message along, for what the exception said.

    Raises:
        ContractError: a key is no name, a column shows a key that there is not.
    """

    def __init__(
        self,
        context: "Mapping[str, Kind] | None" = None,
        *,
        purpose: str = "",
        columns: "Mapping[str, str] | None" = None,
        retention_days: int = 90,
    ) -> None:
        self.context: dict[str, Kind] = _undefer_all(context)
        self.purpose = purpose
        self.retention_days = retention_days
        for key, kind in self.context.items():
            require(is_name(key), f"the context key {key!r} must be a name such as 'iterations'")
            require(
                isinstance(kind, Kind),
                f"the context key {key!r} needs a kind such as Flag(), not {kind!r}",
            )
        self.fields = dict(_with_messages(self.context))
        require(len(self.fields) <= MAX_FIELDS, f"a label has at most {MAX_FIELDS} context keys")
        self.columns = dict({key: key for key in self.context} if columns is None else columns)
        for title, key in self.columns.items():
            require(_is_line(title), f"the column {title!r} must be a line of text")
            require(
                key in self.fields,
                f"the column {title!r} shows {key!r}, which the context does not declare",
            )
        _check_common(retention_days, purpose=purpose)

    def __repr__(self) -> str:
        return f"Label({self.context!r}, purpose={self.purpose!r})"

    def to_dict(self) -> "dict[str, Any]":
        """This label as plain JSON types; the inverse of `from_dict`."""
        return {
            "purpose": self.purpose,
            "retention_days": self.retention_days,
            "columns": self.columns,
            "context": {
                key: {"kind": type(kind).__name__, **kind.to_dict()}
                for key, kind in self.context.items()
            },
        }

    @classmethod
    def from_dict(cls, data: "Mapping[str, Any]") -> "Label":
        """The label that `to_dict` wrote.

        Raises:
            ContractError: the data has another shape.
        """
        _require_keys(data, {*cls().to_dict()}, "a label")
        context = data.get("context", {})
        require(isinstance(context, dict), "the context of a label must be an object")
        kinds = {key: _kind_from_dict(key, value) for key, value in context.items()}
        return cls(**{**data, "context": kinds})


class Contract:
    """What one package records.

    Args:
        counter: names of coarse fields (see `COARSE`) that each import sends, too. None by default.
        labels: by label, what is recorded of the invokes of that kind. None by default.
        purpose: why imports are counted, in a line for the user.
        retention_days: the days for which a collector keeps shared sessions and hourly totals of
            imports. It keeps daily totals permanently, and stores no record of a single import.
        controller: who answers for what is collected, such as the name of a project or a person.
        contact: an e-mail address or a page where that controller can be asked.
        dialect: one of `DIALECTS`, whose documents a collector takes besides those that are
            declared here; none by default.

    Raises:
        ContractError: a field is not in the closed list, or named twice; a label is no name; there
            is no such dialect.
    """

    def __init__(
        self,
        *,
        counter: "Iterable[str]" = (),
        labels: "Mapping[str, Label] | None" = None,
        purpose: str = "",
        retention_days: int = 396,
        controller: str = "",
        contact: str = "",
        dialect: str = "",
    ) -> None:
        is_list = hasattr(counter, "__iter__") and not isinstance(counter, str)
        require(is_list, f"counter={counter!r} must be a list, such as ['package_version']")
        require(
            hasattr(labels or {}, "items"),
            f"labels={labels!r} must be a dict from names to Label(...)",
        )
        self.counter = tuple(counter)
        self.labels: dict[str, Label] = _undefer_all(labels)
        self.purpose = purpose
        self.retention_days = retention_days
        self.controller = controller
        self.contact = contact
        self.dialect = dialect
        require(
            dialect in ("", *DIALECTS),
            f"the dialect {dialect!r} must be one of {', '.join(DIALECTS)}, or none",
        )
        # A list takes what has no hash.
        unknown = [name for name in self.counter if name not in list(COARSE)]
        require(
            not unknown and len(set(self.counter)) == len(self.counter),
            f"counter={self.counter!r} must name each field once, out of "
            f"{', '.join(sorted(COARSE))}; "
            "leave it out to send the id and the hour only",
        )
        for name, label in self.labels.items():
            require(is_name(name), f"the label {name!r} must be a name such as 'inference'")
            require(
                isinstance(label, Label), f"the label {name!r} needs a Label(...), not {label!r}"
            )
        require(len(self.labels) <= MAX_LABELS, f"a contract has at most {MAX_LABELS} labels")
        _check_common(retention_days, purpose=purpose, controller=controller, contact=contact)

    def __repr__(self) -> str:
        return f"Contract(counter={self.counter!r}, labels={self.labels!r})"

    @property
    def counter_fields(self) -> "tuple[str, ...]":
        """The names of all fields that an import sends, in this order."""
        return (*ALWAYS, *self.counter)

    def to_dict(self) -> "dict[str, Any]":
        """This contract as plain JSON types; the inverse of `from_dict`."""
        return {
            "counter": list(self.counter),
            "purpose": self.purpose,
            "retention_days": self.retention_days,
            "controller": self.controller,
            "contact": self.contact,
            "labels": {name: label.to_dict() for name, label in self.labels.items()},
            **({"dialect": self.dialect} if self.dialect else {}),
        }

    @classmethod
    def from_dict(cls, data: "Mapping[str, Any]") -> "Contract":
        """The contract that `to_dict` wrote; what is not there has its default.

        Raises:
            ContractError: the data has another shape.
        """
        _require_keys(data, {*cls().to_dict(), "dialect"}, "a contract")
        labels = data.get("labels", {})
        require(
            isinstance(data.get("counter", []), list),
            "the counter of a contract must be a list of field names",
        )
        require(isinstance(labels, dict), "the labels of a contract must be an object")
        made = {name: Label.from_dict(value) for name, value in labels.items()}
        return cls(**{**data, "labels": made})

    def hash(self) -> str:
        """SHA-256 of the canonical JSON, as 64 hexadecimal digits."""
        import hashlib
        import json

        canonical = json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()


def check_given(declared: object, version: object = None) -> "Contract | None":
    """Return the contract of a handle; a version of `...` stands for one not given.

    Raises:
        ContractError: it is not a contract, was declared wrongly, or needs a version.
    """
    contract = undefer(declared)
    if contract is None:
        return None
    if not isinstance(contract, Contract):
        raise _error(
            f"contract {contract!r} must be a Contract, such as "
            "Contract(counter=['package_version'])"
        )
    if "package_version" in contract.counter and version is ...:
        raise _error("the contract declares package_version, so give Telemetry(version='1.2.3')")
    return contract


def undefer(value: "Any") -> "Any":  # noqa: ANN401
    """Return the class or instance that a deferred value stands for, and any other value as it is.

    `plaintally` makes such values; see there.

    Raises:
        ContractError: the class does not take these arguments.
    """
    if type(value).__name__ != "Deferred" or type(value).__module__ != "plaintally":
        return value
    cls = globals()[value._name]  # noqa: SLF001
    call = value._call  # noqa: SLF001
    if call is None:
        return cls
    if "_made" not in vars(value):
        positional = [given for name, given in call.items() if isinstance(name, int)]
        named = {name: given for name, given in call.items() if isinstance(name, str)}
        try:
            made = cls(*positional, **named)
        except TypeError as error:
            raise _error(
                f"{cls.__name__} is declared wrongly ({error}); compare with its documentation"
            ) from error
        vars(value).setdefault("_made", made)  # one, also for two threads
    return vars(value)["_made"]


def _undefer_all(values: "Mapping[str, Any] | None") -> "dict[str, Any]":
    return {name: undefer(value) for name, value in dict(values or {}).items()}


def _with_messages(context: "Mapping[str, Kind]") -> "Iterator[tuple[str, Kind]]":
    for key, kind in context.items():
        yield key, kind
        if type(kind) is ErrorType:
            require(
                f"{key}_message" not in context,
                f"the key '{key}_message' is taken by what {key!r} brings along",
            )
            yield f"{key}_message", ErrorMessage(purpose="what the exception said")


def _kind_from_dict(key: str, data: "Any") -> Kind:  # noqa: ANN401
    require(isinstance(data, dict), f"the context key {key!r} must be an object with a kind")
    arguments = dict(data)
    kind = KINDS.get(str(arguments.pop("kind", None)))
    require(kind is not None, f"the context key {key!r} needs a kind out of {', '.join(KINDS)}")
    values = arguments.pop("values", [])
    try:
        return kind(*values, **arguments)  # type: ignore[misc]
    except TypeError as error:
        raise _error(f"the context key {key!r} is declared wrongly ({error})") from error


def _require_keys(data: object, known: "set[str]", what: str) -> None:
    require(
        isinstance(data, dict) and set(data) <= known,
        f"{what} is an object that has no key but {', '.join(sorted(known))}",
    )


def is_name(name: object) -> bool:
    """Return whether this can be the name of a label, of a key or of a package."""
    return (
        isinstance(name, str)
        and name.isascii()
        and name.isidentifier()
        and name[0] != "_"
        and len(name) <= 64
    )


def _is_line(text: object) -> bool:
    return isinstance(text, str) and text.isprintable() and len(text) <= 1000


def _check_common(days: object, **lines: object) -> None:
    """Raise unless this is a number of days, and these are lines of text."""
    is_days = type(days) is int and 0 < days <= 36_600
    require(is_days, f"retention_days={days!r} must be a number of days")
    for name, line in lines.items():
        require(_is_line(line), f"{name} {line!r} must be a line of text")


def _error(message: str) -> Exception:
    from plaintally.exceptions import ContractError

    return ContractError(message)
