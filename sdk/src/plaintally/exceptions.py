"""Every error this package raises.

PlaintallyError
├── ConfigurationError     the author of a package made a mistake; raised when the handle is made
│   └── ContractError      the mistake is in what is declared: the package's name, a field, a policy
├── PreferencesError       a preferences file could not be written; raised only to the person who asked for it
└── DocumentError          a value or a body is no Firestore document

Nothing here is ever raised by counting an import: at run time telemetry stays silent.
"""


class PlaintallyError(Exception):
    """The root of all errors of this package."""


class ConfigurationError(PlaintallyError, ValueError):
    """An author's setting cannot work; the message says what to change."""


class ContractError(ConfigurationError):
    """A declaration of what is recorded cannot work; the message says what to change."""


class PreferencesError(PlaintallyError, OSError):
    """A preferences file could not be changed; the message says why, and the file is as it was."""


class DocumentError(PlaintallyError, ValueError):
    """A value or a body is no Firestore document; the message names the place and the reason."""
