"""Sharing a session, and taking it back: what would be sent, sending it, and what came of it.

`Preview` holds the very bytes; `share` sends them and nothing else. A document is named by its id,
so sharing again updates what was shared before. Everything here happens because somebody asked for
it in this very call.
"""

import json
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from plaintally._spawn import Endpoint, may_thread
from plaintally._transport import http
from plaintally._transport.batches import LACKING, Request, exchange, send
from plaintally._transport.retry import SHARING
from plaintally.exceptions import SharingError
from plaintally.firestore import is_firestore_host
from plaintally.session import saved
from plaintally.sharing import documents
from plaintally.sharing.preview import PRIVATE, Preview
from plaintally.sharing.progress import Progress
from plaintally.sharing.result import Receipt, ShareResult

__all__ = ["PRIVATE", "Preview", "Receipt", "ShareResult", "forget", "share", "unexpected"]


def share(
    preview: Preview,
    *,
    show_progress: bool,
    issues_url: str | None = None,
    given_endpoint: str | None = None,
) -> ShareResult:
    """Send what a preview holds. A failure is a reason in the result, which is always shown.

    An interruption, by Ctrl-C or an exit, ends it between two requests' answers and is raised
    again. `given_endpoint` is the address where it is not the package's own, which deleting needs
    to be told, too.
    """
    endpoint = preview.endpoint
    result = ShareResult(
        preview.session,
        endpoint=endpoint,
        issues_url=issues_url,
        total=len(preview.documents),
        given_endpoint=given_endpoint,
    )
    if endpoint is None or not preview.requests:
        result.reason = "there is no endpoint to share it with"
        return result
    totals = Counter(document.collection for document in preview.documents)
    progress = Progress(totals, shown=show_progress)
    try:
        _send_all(preview.requests, endpoint, result, progress)
    except Exception as error:  # noqa: BLE001  # no mistake may hide the ID and the key
        result.reason = unexpected(error)
    except BaseException as interruption:
        result.reason = "it was interrupted"
        if not show_progress:
            interruption.add_note(str(result))
        raise
    finally:
        progress.close()
        if show_progress:
            _show(result)
    return result


def _show(result: ShareResult) -> None:
    """Print a result where it can be printed, since it has the only copy of the deletion key."""
    for stream in filter(None, (sys.stdout, sys.stderr)):
        try:
            print(result, file=stream, flush=True)
        except Exception:  # noqa: BLE001, S112  # closed, full, or without these characters
            continue
        return


def forget(
    session_id: str, key: str | None, endpoint: Endpoint, *, issues_url: str | None = None
) -> Receipt:
    """Ask a collector to delete a session: with its key at once, without it by a maintainer.

    Google is not asked, and not given the key: a Firestore project has nobody who could hold it
    against the session.

    Raises:
        SharingError: the collector refused or could not be reached; nothing was deleted as far as
            is known.
    """
    try:
        return _forget(session_id, key, endpoint, issues_url)
    except SharingError:
        raise
    except Exception as error:  # the host may have replaced parts of the standard library
        raise SharingError(
            f"{unexpected(error)}; try again in another process, or ask the maintainers"
        ) from error


def unexpected(error: Exception) -> str:
    """Return the reason for an error that has no reason of its own."""
    return f"it failed unexpectedly ({type(error).__name__})"


def _forget(
    session_id: str, key: str | None, endpoint: Endpoint, issues_url: str | None
) -> Receipt:
    if not saved.is_uuid(session_id):
        raise SharingError(
            f"{session_id!r} is no session ID; it looks like 9eb898b5-76a4-49b0-b1b6-ba209ba39adf"
        )
    where = f" ({issues_url})" if issues_url else ""
    ask = f"ask the maintainers to delete session {session_id}{where}"
    alone = SharingError(f"{endpoint.host} deletes nothing by itself; {ask}")
    if is_firestore_host(endpoint.host):
        raise alone
    body = json.dumps({"session": session_id} | ({"key": key} if key else {})).encode()
    answer = exchange(Request("POST", f"{endpoint.path}:forget", body, ()), endpoint, _client())
    if answer.http_status in LACKING:
        raise alone
    if answer.status == 0:
        raise SharingError(
            f"{endpoint.host} gave no receipt ({answer.reason}); try again, or ask the maintainers"
        )
    if answer.status != 200:
        raise SharingError(f"{endpoint.host} refused ({answer.reason}); nothing was deleted")
    receipt = _read_receipt(answer.content, session_id)
    if receipt is None:
        raise SharingError(
            f"{endpoint.host} gave an answer that is no receipt; ask the maintainers"
        )
    return receipt


def _read_receipt(content: Mapping[str, Any], session_id: str) -> Receipt | None:
    """Return the receipt in an answer, or that the request waits; None if it is neither."""
    request = content.get("request")
    receipt = content.get("receipt")
    if isinstance(request, dict) and _is_of(request, session_id):
        return Receipt(session_id, "waiting") if request.get("state") == "waiting" else None
    if not isinstance(receipt, dict) or not _is_of(receipt, session_id):
        return None
    deleted_at, number, digest = (receipt.get(name) for name in ("deleted_at", "documents", "hash"))
    if type(number) is not int or not 0 <= number < 2**63:
        return None
    if not documents.is_time(deleted_at) or not documents.is_digest(digest):
        return None
    return Receipt(session_id, "deleted", deleted_at, number, digest)


def _is_of(said: Mapping[str, Any], session_id: str) -> bool:
    return str(said.get("session")).lower() == session_id.lower()


def _send_all(
    requests: Iterable[Request], endpoint: Endpoint, result: ShareResult, progress: Progress
) -> None:
    client = _client()
    for request in requests:
        result.uncertain = True  # until there is an answer
        for sent, answer in send(request, endpoint, client):
            result.uncertain = answer.http_status == 0
            counts = result.shared if answer.status == 200 else result.failed
            result.reason = answer.reason or result.reason
            for document in sent.documents:
                counts[document.collection] = counts.get(document.collection, 0) + 1
                progress.advance(document.collection)
            is_away = answer.status == 0 and answer.http_status < 400
            if is_away or result.failed.get("sessions"):
                return  # without a collector or the session, nothing more is of use


def _client() -> http.Client:
    return http.Client(SHARING, in_thread=may_thread())
