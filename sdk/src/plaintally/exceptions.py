"""Every error this package raises.

PlaintallyError
├── ConfigurationError     the author of a package made a mistake; raised when the handle is made
│   └── ContractError      the mistake is in what is declared: the package's name, a field, a policy
├── PreferencesError       a preferences file could not be written; only for the person who asked
├── SharingError           a session could not be previewed or deleted; `share` returns its reason
└── DocumentError          a value or a body is no Firestore document, a file no saved session

Nothing here is ever raised by counting an import or logging an invoke: at run time telemetry stays
silent.
"""

from plaintally.printable import printable


class PlaintallyError(Exception):
    """The root of all errors of this package."""

    def __str__(self) -> str:
        """Return the message made printable: it may quote a file, a variable or an answer."""
        return printable(super().__str__())


class ConfigurationError(PlaintallyError, ValueError):
    """An author's setting cannot work; the message says what to change."""


class ContractError(ConfigurationError):
    """A declaration of what is recorded cannot work; the message says what to change."""


class PreferencesError(PlaintallyError, OSError):
    """A preferences file could not be changed; the message says why, and the file is as it was."""


class SharingError(PlaintallyError, RuntimeError):
    """What was asked about a shared session cannot be done; the message says why and what to do."""


class DocumentError(PlaintallyError, ValueError):
    """A value or a body is not a Firestore document; the message names the place and the reason.

    A star stands for each name of a field, so that the message repeats nothing that was sent.
    """


def unusable_endpoint(url: object, reason: str) -> ConfigurationError:
    """Return the error for an endpoint that documents cannot be sent to."""
    return ConfigurationError(
        f"endpoint {url!r} {reason}; it looks like "
        "'https://telemetry.example.org/v1/projects/mypackage/databases/(default)/documents', "
        "or None to send nothing"
    )
