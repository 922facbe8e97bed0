"""The retry policy of imports, sharing and the relay: which failures to try again, and when. Pure.

A failure passes if the connection broke, or if a server answers with status 429 or 500 and above.
The wait before the next try is at least the pause of the policy, and at least what the server
asked for in Retry-After. A wait that does not fit into the total budget ends the tries.

All else is final: another status is an answer, and an unknown name, an untrusted certificate or a
silent server will be the same in a second. The relay has a minute, so it tries after these, too.
"""

MAX_ASKED_S = 3600.0  # a longer Retry-After, or one that is a date, is taken for an hour


class Policy:
    """How often to try, and for how long.

    Args:
        pauses_s: the shortest wait before each further try.
        try_s: the time for one try.
        total_s: the time for all tries and waits.
    """

    def __init__(self, pauses_s: "tuple[float, ...]", *, try_s: float, total_s: float) -> None:
        self.pauses_s = pauses_s
        self.try_s = try_s
        self.total_s = total_s

    def wait_s(self, tries: int, asked_s: "float | None", spent_s: float) -> "float | None":
        """Return how long to wait before the next try, or None to give up.

        Args:
            tries: how many tries have failed.
            asked_s: how long the server asks to wait; None if the failure is final.
            spent_s: the time since the first try began.
        """
        if asked_s is None or tries > len(self.pauses_s):
            return None
        wait_s = max(self.pauses_s[tries - 1], asked_s)
        return wait_s if spent_s + wait_s < self.total_s else None


IMPORT = Policy((0.4, 1.2), try_s=5.0, total_s=5.0)
SHARING = Policy((0.5, 2.0), try_s=30.0, total_s=90.0)
ONCE = Policy((), try_s=5.0, total_s=5.0)  # the relay sends all that waits again a minute later


def asked_s(status: int, retry_after: bytes) -> "float | None":
    """Return how long a server with this answer asks to wait; None if the answer is final."""
    if status != 429 and status < 500:
        return None
    if not retry_after:
        return 0.0
    return min(float(retry_after), MAX_ASKED_S) if retry_after.isdigit() else MAX_ASKED_S
