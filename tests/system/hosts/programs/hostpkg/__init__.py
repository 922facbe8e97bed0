"""A package that counts its import and tracks one function, for hosts of every kind."""

import os

from plaintally import Contract, Telemetry
from plaintally.contract import Label

contract = Contract(labels={"double": Label()})
telemetry = Telemetry("hostpkg", endpoint=os.environ["HOSTPKG_ENDPOINT"], contract=contract)
telemetry.count_import()


@telemetry.track("double")
def double(value: int) -> int:
    return 2 * value


def logged() -> int:
    session = telemetry.session
    return session.stats("double").total_invokes if session and session.labels else 0


def check() -> None:
    """Raise unless a tracked call runs and is logged as often as this host expects."""
    before = logged()
    assert double(2) == 4
    found = logged() - before
    assert found == int(os.environ["HOSTPKG_LOGS"]), f"logged {found} times"
