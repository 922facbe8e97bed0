"""The log of a collector on stderr: what went wrong, and what it did by itself; text or JSON.

Nothing that was sent is in it: no address, header, path, id or token. Errors are reported by their
kind and place. A traceback has lines of code, but neither messages nor values. As JSON each line is
one object, whatever happens.
"""

import asyncio
import json
import logging
import sys
import threading
import traceback
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from plaintally.printable import printable
from plaintally_server.log_writer import LineHandler

FORMATS = ("text", "json")
_LOGGER = "plaintally_server"
_MAX_CAUSES = 5
_ErrorInfo = (
    tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
)
_logger = logging.getLogger(__name__)


class JSONLines(logging.Formatter):
    """A JSON object in a line for each record.

    It has `time` (RFC 3339, UTC), `level`, `logger` and `message`, and `exception` if there is a
    traceback.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        level = record.levelname.lower()
        message = record.getMessage()
        content = {"time": at, "level": level, "logger": record.name, "message": message}
        if record.exc_info:
            content["exception"] = write_traceback(record.exc_info[1])
        return json.dumps(content)


class TextLines(logging.Formatter):
    """A printable line for each record, and below it the traceback, if there is one."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # logging's name
        """The line."""
        return printable(super().formatMessage(record))

    def format(self, record: logging.LogRecord) -> str:
        """The line, and below it the traceback, if there is one."""
        return printable(super().format(record), lines=True)

    def formatException(self, ei: _ErrorInfo) -> str:  # noqa: N802  # logging's name
        """The traceback."""
        return write_traceback(ei[1])


def set_up(form: str) -> None:
    """Write the collector's log and warnings of libraries to stderr.

    Errors that no code handles are logged, too.
    """
    handler = LineHandler(sys.stderr.fileno())
    text = TextLines("plaintally-server: %(message)s")  # the journal and containers tell the time
    handler.setFormatter(JSONLines() if form == "json" else text)
    logging.getLogger().addHandler(handler)
    logging.getLogger(_LOGGER).setLevel(logging.INFO)
    logging.captureWarnings(capture=True)
    warnings.formatwarning = _format_warning
    sys.excepthook = lambda *error: _logger.critical("an error ended the collector", exc_info=error)
    sys.unraisablehook = lambda args: _report("an error was ignored", args.exc_value)
    threading.excepthook = lambda args: _report("a thread ended with an error", args.exc_value)


def is_json() -> bool:
    """Whether the log is JSON."""
    return any(isinstance(handler.formatter, JSONLines) for handler in _handlers())


def announce(text: str) -> None:
    """Write a line to stdout, or into a log of JSON."""
    if is_json():
        _logger.info("%s", text)
    else:
        _print(text, sys.stdout)


def warn(text: str) -> None:
    """Write a warning about the settings to stderr."""
    if is_json():
        _logger.warning("%s", text)
    else:
        _print(f"Warning: {text}", sys.stderr)


def fail(text: str) -> None:
    """Write why a command fails to stderr."""
    if is_json():
        _logger.critical("%s", text)
    else:
        _print(f"plaintally-server: {text}", sys.stderr)


def flush(limit_s: float) -> None:
    """Write out what is left of the log, unless that takes longer than the limit."""
    for handler in _handlers():
        handler.flush(limit_s)


def report_loop_error(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log an error of the event loop; the objects that asyncio would print hold what was sent."""
    message = str(context["message"]).partition(" <")[0]
    if message.startswith("Exception in callback"):
        message = "Exception in callback"
    _report(f"asyncio: {message}", context.get("exception"))


def write_traceback(error: BaseException | None) -> str:
    """The frames and kinds of an error and its causes, the first cause first."""
    parts: list[str] = []
    while error is not None and len(parts) < _MAX_CAUSES:
        parts.insert(
            0, "".join([*traceback.format_tb(error.__traceback__), type(error).__qualname__])
        )
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "\n".join(parts)


def _handlers() -> Iterator[LineHandler]:
    return (handler for handler in logging.getLogger().handlers if isinstance(handler, LineHandler))


def _print(text: str, stream: TextIO) -> None:
    """Print a line; once the log is set up, no reader of it is waited for."""
    handler = next(_handlers(), None)
    if handler is None:
        print(printable(text), file=stream, flush=True)
    else:
        handler.put(printable(text), stream.fileno())


def _report(message: str, error: BaseException | None) -> None:
    info = None if error is None else (type(error), error, error.__traceback__)
    _logger.error(message, exc_info=info)


def _format_warning(
    message: Warning | str,  # noqa: ARG001  # it may hold a value
    category: type[Warning],
    filename: str,
    lineno: int,
    line: str | None = None,  # noqa: ARG001
) -> str:
    return f"{category.__name__} in {Path(filename).name}:{lineno}"
