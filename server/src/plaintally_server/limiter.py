"""How many documents one client may write. Pure: the clock is passed in, and so is what makes a salt.

Every client has a bucket that holds `burst` documents and fills at `rate` a second. A bucket is one number, the moment
at which it is full again; a full one is as good as none. Clients are known by a MAC of their address, BLAKE2b with a
key (RFC 7693), which is made anew every day and never written down: no address is kept, and none can be found again
tomorrow.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable

DAY_S = 86_400
CAPACITY = 50_000


class Limiter:
    """The buckets of all clients.

    Args:
        rate: documents per second and client.
        burst: documents that a client may write at once.
        make_salt: makes 16 random bytes or more.
        capacity: how many clients are remembered; who was not heard of for the longest time is forgotten first.
    """

    def __init__(self, *, rate: float, burst: int, make_salt: Callable[[], bytes], capacity: int = CAPACITY) -> None:
        self.rate, self.burst, self.make_salt, self.capacity = rate, burst, make_salt, capacity
        self._full_at_s: OrderedDict[bytes, float] = OrderedDict()
        self._salt, self._ends_at_s = b"", float("-inf")

    def ask(self, client: str, *, now_s: float) -> float:
        """Take one document from a client's bucket; where it holds none, the seconds until it does."""
        key = self._find(client, now_s)
        full_at_s = max(self._full_at_s.get(key, now_s), now_s)
        wait_s = full_at_s - now_s - (self.burst - 1) / self.rate
        if wait_s > 0:
            self._keep(key, full_at_s)  # who goes on asking is not forgotten
            return wait_s
        self._keep(key, full_at_s + 1 / self.rate)
        return 0.0

    def charge(self, client: str, cost: int, *, now_s: float) -> None:
        """Take what a request turned out to cost, although the bucket may not hold it; no debt is above a burst."""
        key = self._find(client, now_s)
        full_at_s = max(self._full_at_s.get(key, now_s), now_s) + cost / self.rate
        self._keep(key, min(full_at_s, now_s + 2 * self.burst / self.rate))

    def _find(self, client: str, now_s: float) -> bytes:
        """What stands for a client today."""
        if now_s >= self._ends_at_s:
            self._salt, self._ends_at_s = self.make_salt(), now_s + DAY_S
            self._full_at_s.clear()
        return hashlib.blake2b(client.encode(), key=self._salt, digest_size=16).digest()

    def _keep(self, key: bytes, full_at_s: float) -> None:
        self._full_at_s[key] = full_at_s
        self._full_at_s.move_to_end(key)
        if len(self._full_at_s) > self.capacity:
            self._full_at_s.popitem(last=False)
