"""Every error of the collector.

ServerError
├── StartError      the collector cannot start as it is set up; one sentence for a person
├── CommandError    a command cannot do what it is asked; one sentence for a person
└── Refusal         a request is answered with an error, in the form Google's services have
"""

import logging
import traceback
from pathlib import Path

from plaintally.printable import printable

CODES = {
    "INVALID_ARGUMENT": 3,
    "NOT_FOUND": 5,
    "ALREADY_EXISTS": 6,
    "PERMISSION_DENIED": 7,
    "RESOURCE_EXHAUSTED": 8,
    "FAILED_PRECONDITION": 9,
    "UNIMPLEMENTED": 12,
    "INTERNAL": 13,
    "UNAVAILABLE": 14,
}
"""The numbers of Google's errors, as https://cloud.google.com/apis/design/errors has them."""


class ServerError(Exception):
    """The root of all errors of this package."""

    def __str__(self) -> str:
        """Return the message made printable: it may quote a file, a variable or another program."""
        return printable(super().__str__())


class StartError(ServerError):
    """The collector cannot start; the message says what is wrong and what to do."""


class CommandError(ServerError):
    """A command cannot do what it is asked; the message says why."""


class Refusal(ServerError):  # noqa: N818  # it is an answer, not a failure
    """A request that is answered with an error.

    Args:
        code: the status of the HTTP answer.
        status: Google's name of the error, such as INVALID_ARGUMENT.
        message: one sentence for the client's author.
        retry_after_s: when it is worth while to try again, in seconds; None where it is not.

    `package` is that of a document that was not admitted, where it is known.
    """

    def __init__(
        self, code: int, status: str, message: str, *, retry_after_s: int | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.message = message
        self.retry_after_s = retry_after_s
        self.package: str | None = None

    @property
    def body(self) -> dict[str, object]:
        """The JSON body of the answer, as https://cloud.google.com/apis/design/errors has it."""
        return {"error": {"code": self.code, "message": self.message, "status": self.status}}


class Known(Refusal):
    """A refusal whose cause the log already has."""


def invalid(message: str) -> Refusal:
    """A refusal of something that can never be right."""
    return Refusal(400, "INVALID_ARGUMENT", message)


def not_found(message: str) -> Refusal:
    """A refusal because something is not there."""
    return Refusal(404, "NOT_FOUND", message)


def forbidden(message: str) -> Refusal:
    """A refusal because nobody may do this, or not without the maintainer's token."""
    return Refusal(403, "PERMISSION_DENIED", message)


def unavailable(message: str) -> Refusal:
    """A refusal that may go well when it is tried again."""
    return Refusal(503, "UNAVAILABLE", message, retry_after_s=1)


def failed() -> Refusal:
    """The answer when something happened that should not; no detail of it leaves."""
    return Refusal(500, "INTERNAL", "The collector failed.")


def release(error: BaseException) -> None:
    """Drop the tracebacks of an error that was handled, and of the errors before it.

    A variable in one of their frames may refer to the error again. Such a circle keeps everything
    in these frames, such as the body of a request, until Python next collects garbage, which is
    seldom here.
    """
    before = [error.__cause__, error.__context__]
    error.__traceback__ = error.__cause__ = error.__context__ = None
    for one in before:
        if one is not None:
            release(one)


def log_failure(logger: logging.Logger, work: str, error: BaseException) -> None:
    """Log that work cannot be done, unless the log already has the cause."""
    if not isinstance(error, Known):
        logger.error("cannot %s (%s)", work, describe(error))


def describe(error: BaseException) -> str:
    """Return an error's kind and place for the log; its message may quote a client."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    cause = getattr(error, "orig", None) or error  # of SQLAlchemy's, what the database said
    if isinstance(cause, TimeoutError):  # only calls to PostgreSQL have limits of time
        return "PostgreSQL does not answer"
    kind = getattr(cause, "sqlite_errorname", type(cause).__name__)
    return f"{kind} in {Path(place.filename).name}:{place.lineno}"
