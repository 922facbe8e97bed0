"""The parameters in a query string, which are those of Firestore's REST reference. Pure.

An endpoint declares which parameters it takes; any other is an error, because a client that sends
one expects it to matter. Google's system parameters
(https://cloud.google.com/apis/docs/system-parameters) are ignored.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from urllib.parse import parse_qs

from plaintally_server.exceptions import Refusal, invalid
from plaintally_server.firestore.documents import Precondition, make_precondition
from plaintally_server.firestore.field_paths import FieldPath, parse_mask

Parameters = Mapping[str, Sequence[str]]
"""Values by name, in the order in which they were sent."""
MASK = "mask.fieldPaths"
UPDATE_MASK = "updateMask.fieldPaths"
_EXISTS = "currentDocument.exists"
_UPDATE_TIME = "currentDocument.updateTime"
CREATE = frozenset({"documentId", MASK})
GET = frozenset({MASK, "readTime", "transaction"})
LIST = frozenset({*GET, "pageSize", "pageToken", "orderBy", "showMissing"})
PATCH = frozenset({UPDATE_MASK, MASK, _EXISTS, _UPDATE_TIME})
DELETE = frozenset({_EXISTS, _UPDATE_TIME})
_REPEATED = (MASK, UPDATE_MASK)
_SYSTEM = re.compile(
    r"\$?(alt|callback|fields|key|prettyPrint|quotaUser|userProject)|\$(\.xgafv|apiVersion)"
    r"|access_token|oauth_token|uploadType|upload_protocol"
)
# As that of every count: one parameter, nothing encoded.
_PLAIN = re.compile(rb"([A-Za-z.]+)=([A-Za-z0-9.:-]*)")
_MALFORMED = re.compile(rb"%(?![0-9A-Fa-f]{2})")


def parse_query(raw_query: bytes, taken: Collection[str] = ()) -> Parameters:
    """Return the parameters in a query string; `taken` are the names that the endpoint knows.

    Raises:
        Refusal: the query is not percent-encoded UTF-8, has an unknown parameter, or repeats one
            that has one value.
    """
    if plain := _PLAIN.fullmatch(raw_query):
        found = {plain[1].decode(): [plain[2].decode()]}
    elif _MALFORMED.search(raw_query):
        raise invalid("A percent sign in the query must be followed by two hexadecimal digits.")
    else:
        try:
            found = parse_qs(raw_query.decode(), keep_blank_values=True, errors="strict")
        except ValueError:
            raise invalid("The query must be UTF-8.") from None
    for name, values in found.items():
        if name not in taken and not _SYSTEM.fullmatch(name):
            names = ", ".join(sorted(taken)) or "none"
            raise invalid(f"The query has an unknown parameter; this request takes these: {names}.")
        if len(values) > 1 and name not in _REPEATED:
            raise invalid("The query repeats a parameter that has one value; send it once.")
    return found


def parse_precondition(query: Parameters) -> Precondition:
    """Return the `currentDocument` of a request: `exists`, `updateTime`, or neither.

    Raises:
        Refusal: it has both, or an invalid value.
    """
    [exists] = query.get(_EXISTS, [None])
    if exists not in (None, "true", "false"):
        raise invalid("currentDocument.exists must be true or false.")
    [update_time] = query.get(_UPDATE_TIME, [None])
    return make_precondition(None if exists is None else exists == "true", update_time)


def parse_paths(query: Parameters, parameter: str) -> list[FieldPath] | None:
    """Return the field paths of a mask; None if the query has no such mask, which means all fields.

    Raises:
        Refusal: the mask is invalid.
    """
    return parse_mask(query[parameter]) if parameter in query else None


def check_present(query: Parameters) -> None:
    """Raise if a read asks for the past or for a transaction.

    Raises:
        Refusal: it is.
    """
    if any(query.get("readTime", ())) or any(query.get("transaction", ())):
        raise Refusal(
            501, "UNIMPLEMENTED", "Transactions and reads of the past are not for this collector."
        )
