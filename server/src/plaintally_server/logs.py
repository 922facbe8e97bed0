"""The log of a collector: what went wrong, and what it did by itself, on stderr; as text, or as JSON for machines.

Nothing that was sent is in it: no address, header, path, id or token. Errors are told by their kind and place.
"""

import json
import logging
import sys
from datetime import UTC, datetime

from plaintally.printable import printable

FORMATS = ("text", "json")
_LOGGER = "plaintally_server"


class JSONLines(logging.Formatter):
    """A JSON object in a line for each record: `time` (RFC 3339, UTC), `level`, `logger` and `message`."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        level, message = record.levelname.lower(), record.getMessage()
        return json.dumps({"time": at, "level": level, "logger": record.name, "message": message})


class TextLines(logging.Formatter):
    """A line for each record, without anything that a terminal would obey; only a traceback has more."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # logging's name
        """The line."""
        return printable(super().formatMessage(record))

    def format(self, record: logging.LogRecord) -> str:
        """The line, and below it the traceback, if there is one."""
        return printable(super().format(record), lines=True)


def set_up(form: str) -> None:
    """Have the collector's own log written to stderr, and that of the libraries from warnings on."""
    handler = logging.StreamHandler(sys.stderr)
    text = TextLines("plaintally-server: %(message)s")  # the journal and containers tell the time
    handler.setFormatter(JSONLines() if form == "json" else text)
    logging.getLogger().addHandler(handler)
    logging.getLogger(_LOGGER).setLevel(logging.INFO)


def flush(limit_s: float) -> None:
    """Write out what is left of the log."""
