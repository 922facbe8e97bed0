"""Counts how often a package is imported, and promises this.

* One count is one document with a random id made for this one process and the time. Nothing else leaves, unless the
  package's contract names it, and then `plaintally status` shows it.
* `plaintally off`, `PLAINTALLY=off` and `DO_NOT_TRACK=1` end it for every package: no process, no thread, no socket,
  no file. So do CI, test runs and pool workers, without being asked.
* The host package is never delayed, interrupted or printed over. What cannot be sent is forgotten.

All that runs while a host is imported is here and in `_telemetry`, `_consent`, `_preferences` and `_sender`.
The network is touched by `_deliver` alone.
"""

from plaintally._telemetry import Telemetry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from plaintally._track import track
    from plaintally.contract import Contract

__all__ = ["Contract", "Telemetry", "track"]
__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """What a host need not pay for is loaded when someone asks for it."""
    if name == "Contract":
        from plaintally.contract import Contract

        return Contract
    if name == "track":
        from plaintally._track import track

        return track
    raise AttributeError(f"module 'plaintally' has no attribute {name!r}")
