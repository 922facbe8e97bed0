"""What may be recorded about the use of a package, declared once.

From this one declaration come the fields that the client sends, the fields that the collector accepts, the notice and
`plaintally status`. A field that is not in it cannot leave, and cannot be stored.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

ALWAYS = ("id", "timestamp")
"""The two fields of every count: a random UUID made for this one process, and the time in UTC."""

COARSE = {
    "package_version": "the version of the package that was imported",
    "python_version": "the Python version, major and minor number only",
}
"""The closed list of fields that an author may add to a count, and what each tells."""


class Contract:
    """What one package records.

    Args:
        counter: names of coarse fields (see `COARSE`) that go with each count. None by default.

    Raises:
        ContractError: a field is not in the closed list, or named twice.
    """

    __slots__ = ("counter",)

    counter: "tuple[str, ...]"

    def __init__(self, *, counter: "Iterable[str]" = ()) -> None:
        self.counter = tuple(counter)
        unknown = [name for name in self.counter if name not in list(COARSE)]  # a list takes what has no hash
        if unknown or len(set(self.counter)) < len(self.counter):
            from plaintally.exceptions import ContractError

            raise ContractError(
                f"counter={self.counter!r} must name each field once, out of {', '.join(sorted(COARSE))}; "
                "leave it out to send the id and the time only"
            )

    def __repr__(self) -> str:
        return f"Contract(counter={self.counter!r})"

    @property
    def counter_fields(self) -> "tuple[str, ...]":
        """The names of all fields of a count, in the order in which they are sent."""
        return (*ALWAYS, *self.counter)

    def to_dict(self) -> "dict[str, Any]":
        """This contract as plain JSON types; the inverse of `from_dict`."""
        return {"counter": list(self.counter)}

    @classmethod
    def from_dict(cls, data: "Mapping[str, Any]") -> "Contract":
        """The contract that `to_dict` wrote.

        Raises:
            ContractError: the data has another shape.
        """
        counter = data.get("counter", [])
        if set(data) - {"counter"} or not isinstance(counter, list):
            from plaintally.exceptions import ContractError

            raise ContractError('a contract reads {"counter": [names of coarse fields]}, and has no other key')
        return cls(counter=counter)
