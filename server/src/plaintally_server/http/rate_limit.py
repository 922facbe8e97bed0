"""How much one client may ask for. Pure: the clock is passed in, and so is what makes a salt.

Every client has a bucket that holds `burst` documents and fills at `rate` a second. A bucket is one
number, the moment at which it is full again; a full one is as good as none. Clients are known by a
MAC of their address, BLAKE2b with a key (RFC 7693), which is made anew every day and never written
down: no address is kept, and none can be found again tomorrow.

An IPv6 client takes from three buckets at once, those of its /64, /56 and /48: a provider may hand
out any of these to one customer. The wider ones hold more, since they may also be shared by many
customers.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import NamedTuple

DAY_S = 86_400
CAPACITY = 50_000
_ROUNDING_S = 1e-6


class Bucket(NamedTuple):
    """A network of a client; `share` is how many clients' allowances it has."""

    network: str
    share: int = 1


class Limiter:
    """The buckets of all clients.

    Args:
        rate: documents per second and client.
        burst: documents that a client may write at once.
        make_salt: makes 16 random bytes or more.
        capacity: how many buckets are remembered; the least recently used one is forgotten first.
    """

    def __init__(
        self, *, rate: float, burst: int, make_salt: Callable[[], bytes], capacity: int = CAPACITY
    ) -> None:
        self.rate = rate
        self.burst = burst
        self.make_salt = make_salt
        self.capacity = capacity
        self._full_at_s: OrderedDict[bytes, float] = OrderedDict()
        self._salt = b""
        self._ends_at_s = float("-inf")

    def take(
        self, buckets: Sequence[Bucket], cost: int = 1, *, taken: int = 0, now_s: float
    ) -> float:
        """Take documents from all buckets of a client, or return the seconds to wait.

        `taken` is what the same request has taken before. A request that costs more than a burst
        passes when the buckets are full but for that, and leaves them in debt.
        """
        found = [(self._find(bucket, now_s), bucket.share) for bucket in buckets]
        wait_s = max(self._wait_s(key, share, cost, taken, now_s) for key, share in found)
        for key, share in found:
            if wait_s <= _ROUNDING_S:
                self._full_at_s[key] = max(self._full_at_s.get(key, now_s), now_s) + cost / (
                    self.rate * share
                )
            if key in self._full_at_s:  # also a client that goes on asking in vain is not forgotten
                self._full_at_s.move_to_end(key)
        while len(self._full_at_s) > self.capacity:
            self._full_at_s.popitem(last=False)
        return wait_s if wait_s > _ROUNDING_S else 0.0

    def wait_s(self, buckets: Sequence[Bucket], *, now_s: float) -> float:
        """Return the seconds until the buckets hold a document; 0 if they do."""
        wait_s = max(
            self._wait_s(self._find(bucket, now_s), bucket.share, 1, 0, now_s) for bucket in buckets
        )
        return wait_s if wait_s > _ROUNDING_S else 0.0

    def _wait_s(self, key: bytes, share: int, cost: int, taken: int, now_s: float) -> float:
        rate = self.rate * share
        burst = self.burst * share
        needed = min(cost + taken, burst) - taken
        return self._full_at_s.get(key, now_s) - now_s - (burst - needed) / rate

    def _find(self, bucket: Bucket, now_s: float) -> bytes:
        """Return the MAC that stands for a network today."""
        if now_s >= self._ends_at_s:
            self._salt = self.make_salt()
            self._ends_at_s = now_s + DAY_S
            self._full_at_s.clear()
        return hashlib.blake2b(bucket.network.encode(), key=self._salt, digest_size=16).digest()
