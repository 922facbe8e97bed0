"""The kinds of values that a contract can declare for the context of an invoke. Pure.

A kind knows how to take a value from the host (`take`), and whether a plain value that came over
the wire is one of its own (`accepts`). What `take` returns is all that is ever kept, and `accepts`
holds of it.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

REFUSED = object()
"""What `take` returns for a value that the declaration does not cover."""

MAX_NAME = 64
MAX_TEXT = 10_000
_INT64 = 2**63 - 1


class Kind:
    """A kind of value, with the purpose it is recorded for.

    `private` is the word that `share(include={...})` needs before such a value leaves; None where
    it leaves with all others.
    """

    __slots__ = ("purpose",)

    private: "str | None" = None

    def __init__(self, *, purpose: str = "") -> None:
        self.purpose = _text("purpose", purpose)

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in self.to_dict().items())
        return f"{type(self).__name__}({shown})"

    def take(self, value: object) -> object:
        """The plain value that is kept of what the host gave, or `REFUSED`.

        Types override it to keep a value of the exact type without a further call.
        """
        value = _plain(value)
        return value if self.accepts(value) else REFUSED

    def accepts(self, plain: object) -> bool:
        """Whether `take` could have returned this."""
        raise NotImplementedError

    def to_dict(self) -> "dict[str, Any]":
        """The arguments that make this kind, as plain JSON types."""
        return {"purpose": self.purpose}


class Flag(Kind):
    """Yes or no."""

    __slots__ = ()

    def take(self, value: object) -> object:
        """See `Kind.take`."""
        return value if type(value) is bool else Kind.take(self, value)

    def accepts(self, plain: object) -> bool:
        """See `Kind.accepts`."""
        return type(plain) is bool


class Integer(Kind):
    """A whole number from `minimum` to `maximum`, both included."""

    __slots__ = ("maximum", "minimum")

    def __init__(self, minimum: int, maximum: int, *, purpose: str = "") -> None:
        super().__init__(purpose=purpose)
        require(
            type(minimum) is int
            and type(maximum) is int
            and -_INT64 - 1 <= minimum <= maximum <= _INT64,
            f"Integer({minimum!r}, {maximum!r}) needs two whole numbers of 64 bits, the smaller "
            "one first",
        )
        self.minimum = minimum
        self.maximum = maximum

    def take(self, value: object) -> object:
        """See `Kind.take`."""
        if type(value) is not int:
            return Kind.take(self, value)
        return value if self.minimum <= value <= self.maximum else REFUSED

    def accepts(self, plain: object) -> bool:
        """See `Kind.accepts`."""
        return type(plain) is int and self.minimum <= plain <= self.maximum

    def to_dict(self) -> "dict[str, Any]":
        """See `Kind.to_dict`."""
        return {"minimum": self.minimum, "maximum": self.maximum, "purpose": self.purpose}


class Real(Kind):
    """A number from `minimum` to `maximum`, never NaN and never the user's data."""

    __slots__ = ("maximum", "minimum")

    def __init__(
        self,
        minimum: float = -1.7976931348623157e308,
        maximum: float = 1.7976931348623157e308,
        *,
        purpose: str = "",
    ) -> None:
        super().__init__(purpose=purpose)
        both = (minimum, maximum)
        finite = all(type(limit) in (int, float) and abs(limit) < float("inf") for limit in both)
        require(
            finite and minimum <= maximum,
            f"Real({minimum!r}, {maximum!r}) needs two finite numbers, the smaller first",
        )
        self.minimum = float(minimum)
        self.maximum = float(maximum)

    def take(self, value: object) -> object:
        """See `Kind.take`."""
        if type(value) is not float:
            value = _plain(value)
            if type(value) is int and -_INT64 <= value <= _INT64:
                value = float(value)
            if type(value) is not float:
                return REFUSED
        return value if self.minimum <= value <= self.maximum else REFUSED

    def accepts(self, plain: object) -> bool:
        """See `Kind.accepts`."""
        return type(plain) is float and self.minimum <= plain <= self.maximum

    def to_dict(self) -> "dict[str, Any]":
        """See `Kind.to_dict`."""
        return {"minimum": self.minimum, "maximum": self.maximum, "purpose": self.purpose}


class Choice(Kind):
    """One of the texts that the contract lists."""

    __slots__ = ("values",)

    def __init__(self, *values: str, purpose: str = "") -> None:
        super().__init__(purpose=purpose)
        self.values = tuple(
            dict.fromkeys(_text("Choice", value, longest=MAX_NAME) for value in values)
        )
        require(bool(self.values), "Choice() needs the texts to choose from")

    def take(self, value: object) -> object:
        """See `Kind.take`."""
        if type(value) is not str:
            return Kind.take(self, value)
        return value if value in self.values else REFUSED

    def accepts(self, plain: object) -> bool:
        """See `Kind.accepts`."""
        return type(plain) is str and plain in self.values

    def to_dict(self) -> "dict[str, Any]":
        """See `Kind.to_dict`."""
        return {"values": list(self.values), "purpose": self.purpose}


class Name(Kind):
    """A text in printable ASCII that the whole of a pattern matches, such as a solver's name.

    A pattern is a regular expression of few parts, so that no text can make it slow (see
    `plaintally.contract.patterns`). Declare one only for names that the package gives, not for
    those that its users give: those go into a `Source`.

    Raises:
        ContractError: the pattern uses something else, or `max_length` is no number up to 256.
    """

    __slots__ = ("_sequences", "max_length", "pattern")

    def __init__(self, pattern: str, max_length: int = MAX_NAME, *, purpose: str = "") -> None:
        from plaintally.contract.patterns import parse

        super().__init__(purpose=purpose)
        self.pattern = _text("pattern", pattern, longest=256)
        self._sequences = parse(self.pattern)
        require(
            type(max_length) is int and 0 < max_length <= 256,
            f"max_length={max_length!r} must be a number up to 256",
        )
        self.max_length = max_length

    def accepts(self, plain: object) -> bool:
        """See `Kind.accepts`."""
        from plaintally.contract.patterns import matches

        if type(plain) is not str or len(plain) > self.max_length:
            return False
        return matches(self._sequences, plain)

    def to_dict(self) -> "dict[str, Any]":
        """See `Kind.to_dict`."""
        return {"pattern": self.pattern, "max_length": self.max_length, "purpose": self.purpose}


class Description(Kind):
    """A description of a value (see `plaintally.describe`), with the names in `names`.

    A value that is no description yet is described when it is taken, a dict with its keys as names.
    """

    __slots__ = ("names",)

    def __init__(self, *, names: "Iterable[str]" = (), purpose: str = "") -> None:
        super().__init__(purpose=purpose)
        require(not isinstance(names, str), f"names={names!r} must be a list of names")
        self.names = frozenset(_text("names", name, longest=MAX_NAME) for name in names)

    def take(self, value: object) -> object:
        """See `Kind.take`."""
        from plaintally.describe import is_sealed, make, without_names

        if is_sealed(value):
            return without_names(value, self.names)
        made = make(value, of_data=type(value) is dict, named=bool(self.names))
        return without_names(made, self.names)

    def accepts(self, plain: object) -> bool:
        """See `Kind.accepts`."""
        from plaintally.describe import Described, keep_names

        return type(plain) is dict and keep_names(Described(plain), self.names) == plain

    def to_dict(self) -> "dict[str, Any]":
        """See `Kind.to_dict`."""
        return {"names": sorted(self.names), "purpose": self.purpose}


class ErrorType(Kind):
    """The type of the exception that ended a run, and its places in the package.

    It is recorded without the host's doing. The exception's message is kept beside it, for the user
    alone.
    """

    __slots__ = ()

    def take(self, value: object) -> object:  # noqa: ARG002
        """See `Kind.take`; only the log gives one, since the type's name may be the user's."""
        return REFUSED

    def accepts(self, plain: object) -> bool:
        """See `Kind.accepts`."""
        from plaintally.describe import _exceptions

        return _exceptions.is_error(plain)


class Source(Kind):
    """A text of the user's, such as a model's source, which only `share(include=)` sends."""

    __slots__ = ("max_length",)
    private = "source"

    def __init__(self, max_length: int = MAX_TEXT, *, purpose: str = "") -> None:
        super().__init__(purpose=purpose)
        require(
            type(max_length) is int and 0 < max_length <= 100_000,
            f"max_length={max_length!r} must be at most 100,000",
        )
        self.max_length = max_length

    def take(self, value: object) -> object:
        """See `Kind.take`; what is too long is cut."""
        value = _plain(value)
        return value[: self.max_length] if type(value) is str else REFUSED

    def accepts(self, plain: object) -> bool:
        """See `Kind.accepts`."""
        return type(plain) is str and len(plain) <= self.max_length

    def to_dict(self) -> "dict[str, Any]":
        """See `Kind.to_dict`."""
        return {"max_length": self.max_length, "purpose": self.purpose}


class ErrorMessage(Source):
    """The message of an exception, with every `ErrorType`; only `share(include=)` sends it."""

    __slots__ = ()
    private = "error_message"


KINDS = {
    kind.__name__: kind
    for kind in (Flag, Integer, Real, Choice, Name, Description, ErrorType, Source)
}


def _plain(value: object) -> object:
    """The plain value of a subclass or numpy scalar, without running code of its class."""
    from plaintally.describe import plain

    return plain(value)


def _text(name: str, value: object, *, longest: int = 1000) -> str:
    require(
        isinstance(value, str) and len(value) <= longest and value.isprintable(),
        f"{name} {value!r} must be a line of text of at most {longest} characters",
    )
    return str(value)


def require(holds: bool, message: str) -> None:  # noqa: FBT001  # what is required comes first
    """Raise a `ContractError` unless something holds."""
    if not holds:
        from plaintally.exceptions import ContractError

        raise ContractError(message)
