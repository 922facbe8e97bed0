"""Sharing a session, and taking it back: what would be sent, sending it, and what came of it.

`Preview` holds the very bytes; `share` sends them and nothing else. A document is named by its id,
so sharing again updates what was shared before. Everything here happens because somebody asked for
it in this very call.
"""

import json
import shlex
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

from plaintally._spawn import Endpoint, may_thread
from plaintally._transport import http
from plaintally._transport.batches import (
    LACKING,
    Document,
    Request,
    dump,
    exchange,
    make_document,
    make_requests,
    send,
)
from plaintally._transport.retry import SHARING
from plaintally.consent.notice_text import name_command
from plaintally.exceptions import SharingError
from plaintally.firestore import is_firestore_host
from plaintally.printable import printable
from plaintally.session import Session, saved
from plaintally.sharing import documents
from plaintally.sharing.progress import Progress

MAX_SHOWN = 25  # documents in the text of a preview
PRIVATE = ("error_message", "source")


class Preview:
    """What `share` would send.

    Attributes:
        session: the session.
        endpoint: where it would go, or None.
        include: which private kinds go along.
        requests: the requests in their order, with the exact bytes of each body.
        withheld: labels that the contract does not declare, and which therefore stay here.
    """

    def __init__(
        self, session: Session, endpoint: Endpoint | None, *, include: Collection[str] = ()
    ) -> None:
        self.session = session
        self.endpoint = endpoint
        self.include = _valid_include(include)
        declared = _declared(session)
        self.withheld = tuple(label for label in session.labels if label not in declared)
        self.requests = tuple(make_requests(_documents(session, declared, self.include), endpoint))

    @property
    def documents(self) -> list[Document]:
        """All documents, parents first."""
        return [document for request in self.requests for document in request.documents]

    @property
    def content(self) -> bytes:
        """Every byte that would leave, one request after the other."""
        if self.endpoint is None:
            return b"".join(request.body for request in self.requests)
        there = self.endpoint.scheme, self.endpoint.host, self.endpoint.port
        return b"".join(
            http.request((*there, request.target), request.body, method=request.method)
            for request in self.requests
        )

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        where = f"to {self.endpoint}" if self.endpoint else "nowhere, since there is no endpoint"
        size = sum(len(request.body) for request in self.requests)
        lines = [
            (
                f"{len(self.documents)} documents ({size:,} bytes "
                f"in {len(self.requests)} requests) would go {where}:"
            )
        ]
        found = self.documents
        for document in found[:MAX_SHOWN]:
            lines += ["", f"{document.collection}/{document.id}", *_shown(document.fields)]
        if len(found) > MAX_SHOWN:
            lines += [
                "",
                (
                    f"and {len(found) - MAX_SHOWN} more; "
                    "all are in its `documents`, every byte in its `content`."
                ),
            ]
        if self.withheld:
            number = len(self.withheld)  # a preview is likely to be passed on, too
            lines += [
                "",
                f"Labels that the contract does not declare, and which stay here: {number}.",
            ]
        if not self.include:
            lines += [
                "",
                (
                    "What errors said and sources stay here, "
                    f"unless include={set(PRIVATE)} asks for them."
                ),
            ]
        return "\n".join(map(printable, lines))


class ShareResult:
    """What came of sharing.

    Attributes:
        session_id: the id to quote, or None where there was no session.
        deletion_key: what `forget` needs to delete it at once; keep it to yourself.
        forgets: whether the endpoint can delete; a Firestore project's maintainers have to be
            asked.
        shared, failed: by collection, how many documents.
        total: how many documents there were to share.
        reason: what went wrong, in a sentence, or None.
        uncertain: whether a request may have arrived of which no answer came.
        issue_url: a page with a new issue that has the id in it, or None.
    """

    def __init__(
        self,
        session: Session | None,
        *,
        endpoint: Endpoint | None = None,
        issues_url: str | None = None,
        total: int = 0,
        given_endpoint: str | None = None,
    ) -> None:
        self.session_id = session.id if session else None
        self.deletion_key = session.deletion_key if session else None
        self.package = session.package if session else ""
        self.host = endpoint.host if endpoint else ""
        self.forgets = endpoint is None or not is_firestore_host(endpoint.host)
        self.shared: dict[str, int] = {}
        self.failed: dict[str, int] = {}
        self.reason: str | None = None
        self.uncertain = False
        self.total = total
        self._given_endpoint = given_endpoint
        self.issue_url = _issue_url(issues_url, session) if session else None

    @property
    def complete(self) -> bool:
        """Whether all of it was shared."""
        return bool(self.shared) and not self.failed and self.reason is None

    def __repr__(self) -> str:
        return (
            f"ShareResult({self.session_id}, shared={self.shared}, "
            f"failed={self.failed}, reason={self.reason!r})"
        )

    def __str__(self) -> str:
        if not self.shared:
            lines = [f"Nothing was shared: {self.reason}."]
            if self.uncertain:
                lines += [
                    (
                        "In case a request arrived all the same, "
                        "this is what its deletion needs: the session ID"
                    ),
                    f"{self.session_id} and the deletion key {self.deletion_key}.",
                ]
            return "\n".join(map(printable, lines))
        lines = [
            f"Thank you. {_count(self.shared)} of {self.package} are shared under the session ID",
            "",
        ]
        lines += [f"    {self.session_id}", ""]
        if not self.complete:
            unsent = self.total - sum(self.shared.values()) - sum(self.failed.values())
            missing = f"{_count(self.failed)} failed, {unsent} documents were not sent"
            lines += [
                (
                    f"Only a part could be shared ({self.reason}): {missing}. "
                    "Share again to complete it."
                ),
                "",
            ]
        if self.issue_url:
            lines += [
                "Put the ID into your issue, so that the maintainers can look it up:",
                f"    {self.issue_url}",
            ]
        else:
            lines += ["Quote it when you ask the maintainers for help."]
        if self.forgets:
            command = f"{name_command()} forget {self.session_id} --package {self.package}"
            command += (
                f" --endpoint {shlex.quote(self._given_endpoint)}" if self._given_endpoint else ""
            )
            lines += [
                "To delete what was shared, type this, and the key below when you are asked for it:"
            ]
            lines += [f"    {command}", "Keep the key to yourself:", f"    {self.deletion_key}"]
        else:
            lines += [
                (
                    f"{self.host} deletes nothing by itself: "
                    "to have it deleted, ask the maintainers, with the ID."
                ),
                "Keep this key, which shows that the session is yours:",
                f"    {self.deletion_key}",
            ]
        return "\n".join(map(printable, lines))


class Receipt(NamedTuple):
    """What a collector says of a deletion.

    Attributes:
        session_id: the session.
        state: `deleted`, or `waiting` for a maintainer.
        deleted_at: when, in RFC 3339, or "".
        documents: how many documents were deleted.
        hash: what to quote about it, or "".
    """

    session_id: str
    state: str
    deleted_at: str = ""
    documents: int = 0
    hash: str = ""

    def __str__(self) -> str:
        if self.state == "deleted":
            said = (
                f"Session {self.session_id} is deleted: "
                f"{self.documents} documents at {self.deleted_at}."
            )
            return f"{printable(said)}\n{printable(f'Receipt to quote: {self.hash}')}"
        return printable(
            f"The deletion of session {self.session_id} waits for the maintainers, since no key "
            "came with it."
        )


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
    totals = {
        name: sum(doc.collection == name for doc in preview.documents)
        for name in documents.COLLECTIONS
    }
    progress = Progress(totals, shown=show_progress)
    try:
        _send_all(preview.requests, endpoint, result, progress)
    except Exception as error:  # noqa: BLE001  # no mistake may hide the ID and the key
        result.reason = unexpected(error)
    except BaseException as interruption:
        result.reason = "it was interrupted"
        progress.close()
        if show_progress:
            _show(result)
        else:
            interruption.add_note(str(result))
        raise
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
    alone = (
        f"{endpoint.host} deletes nothing by itself; "
        f"ask the maintainers to delete session {session_id}{where}"
    )
    if is_firestore_host(endpoint.host):
        raise SharingError(alone)
    body = json.dumps({"session": session_id} | ({"key": key} if key else {})).encode()
    answer = exchange(Request("POST", f"{endpoint.path}:forget", body, ()), endpoint, _client())
    if answer.http_status in LACKING:
        raise SharingError(alone)
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
    if (
        isinstance(request, dict)
        and request.get("state") == "waiting"
        and _is_of(request, session_id)
    ):
        return Receipt(session_id, "waiting")
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
                # neither a network without a collector nor documents without their session are of
                # use
                return


def _client() -> http.Client:
    return http.Client(SHARING, in_thread=may_thread())


def _declared(session: Session) -> Collection[str]:
    return session.contract.labels if session.contract is not None else ()


def _documents(
    session: Session, declared: Collection[str], include: Collection[str]
) -> list[Document]:
    kept = [session.stats(label) for label in session.labels if label in declared]
    made = [make_document("sessions", session.id, documents.session(session)["fields"])]
    for stats in kept:
        fields = documents.session_stats(stats, session.id)["fields"]
        made.append(make_document("session_stats", stats.id, fields))
    for stats in kept:
        for invoke in stats.invokes:
            fields = documents.invoke(invoke, stats.id, include=include)["fields"]
            made.append(make_document("invokes", invoke.id, fields))
    return made


def _shown(fields: Mapping[str, Any]) -> Iterator[str]:
    for name, value in fields.items():
        yield f"    {name}: {dump(value).decode()}"


def _valid_include(include: Collection[str]) -> frozenset[str]:
    try:
        words = frozenset((include,) if isinstance(include, str) else include)
    except TypeError:
        words = frozenset((str(include),))
    if words <= set(PRIVATE):
        return words
    raise SharingError(f"include={sorted(map(str, words))} can only name {' and '.join(PRIVATE)}")


def _issue_url(issues_url: str | None, session: Session) -> str | None:
    """Return the URL of a new issue with the session's ID, versions and figures in it."""
    if issues_url is None:
        return None
    base = issues_url.rstrip("/")
    if not base.startswith("https://") or not base.endswith("/issues"):
        return issues_url
    versions = "\n".join(
        f"- {name}: {value}" for name, value in documents.coarse_environment(session).items()
    )
    found = [session.stats(label) for label in session.labels if label in _declared(session)]
    figures = "\n".join(
        f"- {stats.label}: {stats.total_invokes} invokes, {stats.failed_count} failed"
        for stats in found
    )
    question = "<!-- What happened, and what did you expect? -->"
    body = f"{question}\n\nSession ID: {session.id}\n\n{versions}\n\n{figures}\n"
    names = ("issue[title]", "issue[description]") if "gitlab" in base else ("title", "body")
    title = f"{session.package}: help with session {session.id[:8]}"
    return f"{base}/new?{names[0]}={quote(title)}&{names[1]}={quote(body)}"


def _count(counts: Mapping[str, int]) -> str:
    words = {
        "sessions": "{} session{}",
        "session_stats": "statistics of {} label{}",
        "invokes": "{} run{}",
    }
    found = [(word, counts[name]) for name, word in words.items() if counts.get(name)]
    return (
        ", ".join(word.format(number, "" if number == 1 else "s") for word, number in found)
        or "nothing"
    )
