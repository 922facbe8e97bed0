"""JSON bodies of requests as typed values. Pure."""

from typing import TypeVar

import msgspec

from plaintally_server.exceptions import invalid

T = TypeVar("T")


class Body(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    """An object of a request; a key that it does not declare is refused."""


def parse_body(body: bytes, kind: type[T], *, example: str) -> T:
    """The body as a value of `kind`; nothing at all stands for `{}`. The refusal shows the example.

    Raises:
        Refusal: it is no JSON, or has another shape.
    """
    try:
        return msgspec.json.decode(body or b"{}", type=kind)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise invalid(f"The body must be JSON such as {example}.") from None
