"""Counts rejected documents by package, so that a faulty release is noticed."""

from collections import Counter
from collections.abc import Mapping
from threading import Lock


class Refusals:
    """Counts, of which nothing but their number is kept; safe in any thread."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._lock = Lock()

    def note(self, package: str) -> None:
        """Count one."""
        with self._lock:
            self._counts[package] += 1

    def take(self) -> Mapping[str, int]:
        """Those since the last time, by package."""
        with self._lock:
            counts = self._counts
            self._counts = Counter()
        return counts
