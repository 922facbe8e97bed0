"""Recognizes imports in their usual form, without parsing them. Pure.

The JSON text of an import is held against a regular expression that is made of its package's
contract. It lets nothing pass that `ingest.admit` refuses, and what it does not let pass, right or
wrong, is read the way of all documents. It runs on the event loop for each import, so it makes no
values of fields that are not read.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from hashlib import blake2b

from plaintally.contract import ALWAYS, Contract
from plaintally_server.ingest import rxinfer
from plaintally_server.ingest.collections import COUNTER_PREFIX
from plaintally_server.ingest.imports import ANY_UUID, ID_BYTES, hash_import, write_coarse
from plaintally_server.ingest.rules import COARSE_PATTERNS, VERSION
from plaintally_server.model import Admitted, Counted

# Dates are those of every year, without the 29th of February. Decimals are those that a time is
# written back with: none, three or six.
_MONTH_AND_DAY = (
    r"(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])"
    r"|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
    r"|02-(?:0[1-9]|1[0-9]|2[0-8]))"
)
_DECIMALS = r"(?:\.(?!000Z)[0-9]{3}(?:(?!000)[0-9]{3})?)?"
_CLOCK = rf"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]{_DECIMALS}"
_VALUES = {
    "id": ("stringValue", ANY_UUID.pattern.replace("(", "(?:")),
    "timestamp": ("timestampValue", rf"(?!0000)[0-9]{{4}}-{_MONTH_AND_DAY}T{_CLOCK}Z"),
    **{name: ("stringValue", pattern.pattern) for name, pattern in COARSE_PATTERNS.items()},
    **dict.fromkeys(rxinfer.VERSIONS, ("stringValue", VERSION.pattern)),
}
"""By field, the kind of its value and the form of its text, without escapes or spaces."""
_KNOWN_COARSE = 1024
"""How many combinations of coarse fields are remembered as they are counted."""


class Counts:
    """The counts of all packages that have a contract."""

    def __init__(self, contracts: Mapping[str, Contract]) -> None:
        self._shapes = {
            f"{COUNTER_PREFIX}{package}": [_Shape(package, names) for names in _orders(contract)]
            for package, contract in contracts.items()
        }

    def read(self, collection: str, text: bytes, document: str | None) -> Admitted | None:
        """Return the import in the JSON text of a document, and in its name if it has one.

        Its fields are left out. None if the text has another form.
        """
        for shape in self._shapes.get(collection, ()):
            found = shape.read(text, document)
            if found is not None:
                return found
        return None


def _orders(contract: Contract) -> Sequence[Sequence[str]]:
    """Return the orders of the fields in imports, the most frequent first."""
    return [*(rxinfer.COUNT_ORDERS if contract.dialect else ()), contract.counter_fields]


class _Shape:
    """Imports of one package with fields in one order, `id` and `timestamp` at one end."""

    def __init__(self, package: str, names: Sequence[str]) -> None:
        self._package = package
        self._hash = blake2b(f"{package}/".encode(), digest_size=ID_BYTES)
        values = [
            rf'"{name}": ?\{{"{_VALUES[name][0]}": ?"({_VALUES[name][1]})"\}}' for name in names
        ]
        self._match = re.compile(rf'\{{"fields": ?\{{{", ?".join(values)}\}}\}}'.encode()).fullmatch
        written = ",".join(f'"{name}":{{"{_VALUES[name][0]}":"%b"}}' for name in names)
        self._content = f'{{"fields":{{{written}}}}}'.encode()
        self._id = names.index("id")
        self._coarse = slice(len(ALWAYS), None) if names[0] in ALWAYS else slice(-len(ALWAYS))
        self._write_coarse = _coarse_writer(names[self._coarse])

    def read(self, text: bytes, document: str | None) -> Admitted | None:
        found = self._match(text)
        if found is None:
            return None
        values = found.groups()
        identifier = values[self._id].lower()
        hashed = self._hash.copy()  # see `hash_import`
        hashed.update(identifier)
        is_id = document is None or document == identifier.decode()
        name = None if is_id else hash_import(self._package, str(document))
        counted = Counted(hashed.digest(), name, self._write_coarse(values[self._coarse]))
        content = self._content % values if b" " in text else text
        return Admitted({}, self._package, counted, content=content)


def _coarse_writer(names: Sequence[str]) -> Callable[[Sequence[bytes]], str]:
    """Return a function that writes coarse fields; it remembers what it wrote."""
    is_dialect = any(name in rxinfer.VERSIONS for name in names)

    @lru_cache(_KNOWN_COARSE)
    def write(values: Sequence[bytes]) -> str:
        fields = {name: value.decode() for name, value in zip(names, values, strict=True)}
        return write_coarse(fields, is_dialect=is_dialect)

    return write
