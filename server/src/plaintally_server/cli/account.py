"""The account that runs a command, as the audit names it."""

import getpass

from plaintally_server.model import Scope


def account() -> Scope:
    """Return the scope of the account: its name, and all packages, since it has the database."""
    try:
        return Scope(getpass.getuser(), None)
    except (KeyError, OSError):  # a user ID without a name
        return Scope("unknown", None)
