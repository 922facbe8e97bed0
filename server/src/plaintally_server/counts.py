"""Counts as nearly all clients write them: recognised at one glance, and kept without being taken apart. Pure.

The JSON text of a count is held against a regular expression that is made of its package's contract. It lets nothing
pass that `ingest.admit` refuses, and what it does not let pass, right or wrong, is read the way of all documents.
"""

import re
from collections.abc import Mapping
from datetime import datetime

from plaintally.contract import Contract
from plaintally.versions import MAX_LENGTH, PATTERN
from plaintally_server.ingest import ANY_UUID, COARSE_PATTERNS, COUNTER_PREFIX, Admitted

# Decimals are those that a time is written back with: none, three or six. The days of a month are left to `datetime`.
_DECIMALS = r"(?:\.(?!000Z)[0-9]{3}(?:(?!000)[0-9]{3})?)?"
_TIME = rf"[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]{_DECIMALS}Z"
# A version that is not coarse is read, and coarsened, the way of all documents.
_COARSE_VERSION = rf'(?![^"]{{{MAX_LENGTH + 1}}}){PATTERN.replace("(", "(?:")}'
_FORMS = {
    "id": ("stringValue", ANY_UUID.pattern.replace("(", "(?:")),
    "timestamp": ("timestampValue", _TIME),
    "package_version": ("stringValue", _COARSE_VERSION),
}


class Counts:
    """The counts of all packages that have a contract."""

    def __init__(self, contracts: Mapping[str, Contract]) -> None:
        self._shapes = {f"{COUNTER_PREFIX}{package}": _Shape(package, one) for package, one in contracts.items()}

    def read(self, collection: str, text: bytes) -> Admitted | None:
        """The count in the JSON text of a document; None where a glance does not tell."""
        shape = self._shapes.get(collection)
        return None if shape is None else shape.read(text)


class _Shape:
    """The counts of one package."""

    def __init__(self, package: str, contract: Contract) -> None:
        self._package, self._names = package, contract.counter_fields
        kinds = {name: _FORMS.get(name) or ("stringValue", COARSE_PATTERNS[name].pattern) for name in self._names}
        values = [rf'"{name}": ?\{{"{kind}": ?"({form})"\}}' for name, (kind, form) in kinds.items()]
        self._match = re.compile(rf'\{{"fields": ?\{{{", ?".join(values)}\}}\}}'.encode()).fullmatch
        written = ",".join(f'"{name}":{{"{kind}":"%b"}}' for name, (kind, _) in kinds.items())
        self._content = f'{{"fields":{{{written}}}}}'.encode()

    def read(self, text: bytes) -> Admitted | None:
        found = self._match(text)
        if found is None:
            return None
        values = found.groups()
        identifier, moment, *coarse = [value.decode() for value in values]
        try:
            timestamp = datetime.fromisoformat(moment)
        except ValueError:
            return None
        fields = dict(zip(self._names, (identifier, timestamp, *coarse), strict=True))
        return Admitted(fields, self._package, identifier.lower(), content=self._content % values)
