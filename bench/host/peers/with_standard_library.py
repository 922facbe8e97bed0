"""What an author would write by hand: a thread that posts, joined at the exit."""

import logging
import os
import threading
import urllib.request


def send():
    """Post one event."""
    request = urllib.request.Request(
        os.environ["BENCH_URL"] + "/event", data=b'{"event": "bench_import"}'
    )
    urllib.request.urlopen(request, timeout=5).close()


threading.Thread(target=send).start()


def calls():
    """A line of the standard library's log, into a file."""
    logger = logging.getLogger("bench")
    logger.setLevel(logging.INFO)
    logger.addHandler(logging.FileHandler(os.devnull))
    return {"a line of logging": lambda: logger.info("fit %s %d %s", "exact", 3, True)}
