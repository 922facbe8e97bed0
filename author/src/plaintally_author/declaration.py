"""What an author declares of a package. Pure."""

import sys
from typing import NamedTuple

from plaintally import Telemetry
from plaintally.contract import Contract
from plaintally.firestore import is_firestore_host
from plaintally_author.markup import Inline, Link

NOBODY = "not named yet"
_PLAIN = {ord(character): "0" for character in "._+-"}


class Declaration(NamedTuple):
    """What an author says of a package.

    Attributes:
        package: its name.
        contract: what it records.
        policy: `opt-out`, `notice-first` or `opt-in`.
        handle: how to get at its handle in Python, such as `mypackage.telemetry`.
        endpoint: the address that documents are sent to, or None.
        host: the machine in that address, or None.
        privacy_url, issues_url: pages, or None.
        firestore: whether the endpoint is a Firestore project.
    """

    package: str
    contract: Contract
    policy: str = "opt-out"
    handle: str = "telemetry"
    endpoint: str | None = None
    host: str | None = None
    privacy_url: str | None = None
    issues_url: str | None = None
    firestore: bool = False

    @property
    def controller(self) -> str:
        """The controller."""
        return self.contract.controller or f"the controller ({NOBODY})"

    @property
    def contact(self) -> Inline:
        """The contact of the controller, as a link if it is an address."""
        contact = self.contract.contact
        if contact.startswith("https://") and " " not in contact:
            return Link(contact, contact)
        local, at, domain = contact.partition("@")
        if at and all(
            part.isascii() and part.translate(_PLAIN).isalnum() for part in (local, domain)
        ):
            return Link(contact, f"mailto:{contact}")
        return contact or f"a contact ({NOBODY})"

    @property
    def kept(self) -> str:
        """For how long a collector keeps shared sessions and hourly totals of imports."""
        return days(self.contract.retention_days)

    @property
    def totals(self) -> str:
        """What a collector stores of imports."""
        return f"hourly totals for {self.kept} and daily totals permanently"


def days(number: int) -> str:
    """A number of days in words."""
    return f"{number:,} day{'' if number == 1 else 's'}"


def declare(telemetry: Telemetry, contract: Contract) -> Declaration:
    """Return what the author declares, whatever the user's preferences are."""
    endpoint = telemetry.endpoint
    module = sys.modules.get(telemetry.module)
    exported = getattr(module, "telemetry", None) is telemetry
    return Declaration(
        telemetry.package,
        contract,
        policy=telemetry.policy,
        handle=f"{telemetry.module}.telemetry" if exported else "telemetry",
        endpoint=None if endpoint is None else str(endpoint),
        host=None if endpoint is None else endpoint.host,
        privacy_url=telemetry.privacy_url,
        issues_url=telemetry.issues_url,
        firestore=endpoint is not None and is_firestore_host(endpoint.host),
    )
