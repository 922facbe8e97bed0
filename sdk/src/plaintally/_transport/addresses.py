"""From a host name to a connection.

Some networks drop all packets to IPv6 addresses, and some names have addresses that never answer.
So the addresses of a host race: each has a head start over the next one, and the one that answers
first is used (RFC 8305, "Happy Eyeballs").
"""

import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    import selectors
    import socket
    from typing import Any

HEAD_START_S = 0.25  # as RFC 8305 recommends


def connect(host: str, port: int, deadline: float, *, in_thread: bool) -> "socket.socket":
    """Return a connection to a host, whose IPv6 address has no brackets.

    With `in_thread` a thread looks the name up, so that the deadline holds; see `_look_up`.

    Raises:
        OSError: no address answered in time.
    """
    import selectors
    import socket

    addresses = _alternate(_look_up(host, port, deadline, in_thread=in_thread))
    error = OSError("the host name has no address")
    with selectors.DefaultSelector() as attempts:
        try:
            while addresses or attempts.get_map():
                if addresses:
                    try:
                        _begin(attempts, *addresses.pop(0))
                    except OSError as failure:
                        error = _more_telling(error, failure)
                        continue
                left_s = remaining(deadline)
                for key, _ in attempts.select(min(HEAD_START_S, left_s) if addresses else left_s):
                    attempt: Any = key.fileobj
                    attempts.unregister(attempt)
                    code = attempt.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                    if code == 0:
                        return attempt  # type: ignore[no-any-return]
                    attempt.close()
                    error = _more_telling(error, OSError(code, os.strerror(code)))
            raise error
        finally:
            for abandoned in [key.fileobj for key in attempts.get_map().values()]:
                abandoned.close()  # type: ignore[union-attr]  # they are sockets


def remaining(deadline: float) -> float:
    """Return the seconds until a deadline.

    Raises:
        TimeoutError: it has passed.
    """
    left_s = deadline - time.monotonic()
    if left_s <= 0:
        raise TimeoutError
    return left_s


def _begin(
    attempts: "selectors.BaseSelector",
    family: int,
    kind: int,
    protocol: int,
    _: str,
    address: "tuple[Any, ...]",
) -> None:
    """Begin to connect to an address, and watch for the outcome."""
    import selectors
    import socket

    attempt = socket.socket(family, kind, protocol)
    try:
        attempt.setblocking(False)
        try:
            attempt.connect(address)
        except BlockingIOError:
            pass
        attempts.register(attempt, selectors.EVENT_WRITE)
    except BaseException:
        attempt.close()
        raise


def _more_telling(known: OSError, failure: OSError) -> OSError:
    """Return the failure to report: a refused connection says more than a missing route."""
    return known if isinstance(known, ConnectionError) else failure


def _look_up(host: str, port: int, deadline: float, *, in_thread: bool) -> "list[Any]":
    """Return the addresses of a host, as `getaddrinfo` does.

    Nothing ends a look-up early, neither a signal nor a time limit. A thread that waits for it may
    be left behind. It imports nothing and holds no lock, so it harms neither a fork nor the end of
    the main interpreter. At the end of a sub-interpreter it would abort the process.

    Raises:
        OSError: the name is unknown, or the deadline has passed.
    """
    import _thread
    import socket

    try:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:  # a name
        pass
    name = host.encode("ascii" if host.isascii() else "idna")
    if not in_thread:
        return socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    found: list[Any] = []
    ended = _thread.allocate_lock()
    ended.acquire()

    def look_up() -> None:
        try:
            found.append(socket.getaddrinfo(name, port, type=socket.SOCK_STREAM))
        except BaseException as error:  # noqa: BLE001  # raised below, in the thread that asked
            found.append(error)
        finally:
            ended.release()

    try:
        _thread.start_new_thread(look_up, ())
    except RuntimeError:  # the limit of threads is reached, or the interpreter is about to end
        look_up()
    if not ended.acquire(timeout=remaining(deadline)):
        raise OSError(f"no name server answered in time for {host}")
    [result] = found
    if isinstance(result, BaseException):
        raise result
    return list(result)


def _alternate(found: "list[Any]") -> "list[Any]":
    """Return addresses in an order that alternates between IPv6 and IPv4."""
    from itertools import zip_longest

    first = [address for address in found if address[0] == found[0][0]]
    others = [address for address in found if address[0] != found[0][0]]
    return [address for pair in zip_longest(first, others) for address in pair if address]
