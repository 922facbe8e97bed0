"""From a host name to a connection.

Some networks drop all packets to IPv6 addresses, and some names have addresses that never answer.
So the addresses of a host are tried one after the other, and none takes the time of the next ones.
"""

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from typing import Any

PATIENCE_S = 0.5  # for an address that others follow


def connect(host: str, port: int, deadline: float, *, in_thread: bool) -> "socket.socket":
    """Return a connection to a host, whose IPv6 address has no brackets.

    With `in_thread` a thread looks the name up, so that the deadline holds; see `_look_up`.

    Raises:
        OSError: no address answered in time.
    """
    import socket

    addresses = _look_up(host, port, deadline, in_thread=in_thread)
    error = OSError("the host name has no address")
    while addresses:
        family, kind, protocol, _, address = addresses.pop(0)
        left_s = remaining(deadline)
        share_s = left_s / (1 + len(addresses))
        try:
            attempt = socket.socket(family, kind, protocol)
            try:
                attempt.settimeout(min(PATIENCE_S, share_s) if addresses else left_s)
                attempt.connect(address)
            except BaseException:
                attempt.close()
                raise
        except OSError as failure:
            if not isinstance(error, ConnectionError):  # which says more than a missing route
                error = failure
        else:
            return attempt
    raise error


def remaining(deadline: float) -> float:
    """Return the seconds until a deadline.

    Raises:
        TimeoutError: it has passed.
    """
    left_s = deadline - time.monotonic()
    if left_s <= 0:
        raise TimeoutError
    return left_s


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
