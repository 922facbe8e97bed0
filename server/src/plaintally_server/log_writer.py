"""Lines of the log, written by a thread of its own.

The standard error of a service is often a pipe. If its reader stops, it is full after some 64 kB,
and a thread that writes then waits for ever. So the threads that log put their lines into a queue
of LINES. What does not fit is counted, and reported when there is room again. Messages that repeat
are counted, too: within WINDOW_S, the first BURST are written.
"""

import logging
import os
import queue
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

LINES = 2000
WINDOW_S = 60.0
BURST = 5
_MESSAGES = 500  # that are counted at once; further ones are written each time
_FLUSH_S = 1.0
_logger = logging.getLogger(__name__)


class Repeats:
    """Counts messages that repeat. Safe in any thread."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, int, str], tuple[int, float]] = {}
        self._lock = threading.Lock()

    def admit(self, record: logging.LogRecord, now_s: float) -> bool:
        """Whether a record is to be written: it is one of the first of its kind."""
        key = (record.name, record.levelno, record.getMessage())
        with self._lock:
            count, begun_s = self._seen.get(key, (0, now_s))
            if count or len(self._seen) < _MESSAGES:
                self._seen[key] = (count + 1, begun_s)
        return count < BURST

    def take(self, before_s: float) -> Iterator[logging.LogRecord]:
        """Yield a summary of each message that was dropped, and whose window began by then."""
        with self._lock:
            over = {
                key: count for key, (count, begun_s) in self._seen.items() if begun_s <= before_s
            }
            for key in over:
                del self._seen[key]
        for (name, level, message), count in over.items():
            if count > BURST:
                text = f"{message} (repeated {count - BURST} times in the last minute)"
                yield logging.makeLogRecord(
                    {
                        "name": name,
                        "levelno": level,
                        "levelname": logging.getLevelName(level),
                        "msg": text,
                    }
                )


class LineHandler(logging.Handler):
    """A handler that never blocks the thread that logs.

    Args:
        file: the descriptor of the log. No buffer of Python's is used: it would be locked while a
            write blocks.
    """

    def __init__(self, file: int) -> None:
        super().__init__()
        self._file = file
        self._lines: queue.Queue[tuple[int, bytes]] = queue.Queue(LINES)
        self._repeats = Repeats()
        self._lost = 0
        threading.Thread(target=self._work, name="log", daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        """Put the line of a record into the queue."""
        try:
            if self._repeats.admit(record, time.monotonic()):
                self.put(self.format(record), self._file)
        except Exception:  # noqa: BLE001  # logging would print a traceback, with values
            self._lost += 1

    def put(self, line: str, file: int) -> None:
        """Put a line for a descriptor into the queue, unless the queue is full."""
        try:
            self._lines.put_nowait((file, f"{line}\n".encode(errors="backslashreplace")))
        except queue.Full:
            self._lost += 1

    def flush(self, limit_s: float = _FLUSH_S) -> None:
        """Write out what is left, and summaries of what repeats; give up at the limit."""
        for record in self._repeats.take(time.monotonic()):
            self.put(self.format(record), self._file)
        until_s = time.monotonic() + limit_s
        while self._lines.unfinished_tasks and time.monotonic() < until_s:
            time.sleep(0.005)

    def _work(self) -> None:
        while True:
            with suppress(Exception):  # without this thread there is no log
                self._work_once()

    def _work_once(self) -> None:
        """Write a line if there is one, and report what was not written."""
        with suppress(queue.Empty):
            file, line = self._lines.get(timeout=1)
            try:
                _write(file, line)
            finally:
                self._lines.task_done()
        for record in self._repeats.take(time.monotonic() - WINDOW_S):
            self.put(self.format(record), self._file)
        if self._lost and self._lines.qsize() < LINES // 2:
            lost = self._lost
            self._lost -= lost
            _logger.warning(
                "%d lines of the log were dropped because its reader did not keep up", lost
            )


def _write(file: int, line: bytes) -> None:
    """Write a line; if its reader is gone, drop it."""
    with suppress(OSError):
        while line:
            try:
                line = line[os.write(file, line) :]
            except BlockingIOError:  # another process that shares the pipe made it so
                time.sleep(0.05)
