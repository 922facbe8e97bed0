"""What came of sharing or deleting a session, and the texts that say so."""

import shlex
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import quote

from plaintally._spawn import Endpoint
from plaintally.consent.notice_text import name_command
from plaintally.firestore import is_firestore_host
from plaintally.printable import printable
from plaintally.session import Session
from plaintally.sharing import documents
from plaintally.sharing.preview import declared_labels

_WORDS = {
    "sessions": "{} session{}",
    "session_stats": "statistics of {} label{}",
    "invokes": "{} run{}",
}


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
        lines = self._thanks() if self.shared else self._failure()
        return "\n".join(map(printable, lines))

    def _failure(self) -> list[str]:
        lines = [f"Nothing was shared: {self.reason}."]
        if self.uncertain:
            needs = "this is what its deletion needs: the session ID"
            lines += [
                f"In case a request arrived all the same, {needs}",
                f"{self.session_id} and the deletion key {self.deletion_key}.",
            ]
        return lines

    def _thanks(self) -> list[str]:
        what = f"{_count(self.shared)} of {self.package}"
        lines = [f"Thank you. {what} are shared under the session ID", ""]
        lines += [f"    {self.session_id}", ""]
        if not self.complete:
            unsent = self.total - sum(self.shared.values()) - sum(self.failed.values())
            missing = f"{_count(self.failed)} failed, {unsent} documents were not sent"
            what = f"Only a part could be shared ({self.reason}): {missing}."
            lines += [f"{what} Share again to complete it.", ""]
        if self.issue_url:
            lines += [
                "Put the ID into your issue, so that the maintainers can look it up:",
                f"    {self.issue_url}",
            ]
        else:
            lines += ["Quote it when you ask the maintainers for help."]
        if not self.forgets:
            ask = "to have it deleted, ask the maintainers, with the ID."
            return [
                *lines,
                f"{self.host} deletes nothing by itself: {ask}",
                "Keep this key, which shows that the session is yours:",
                f"    {self.deletion_key}",
            ]
        command = f"{name_command()} forget {self.session_id} --package {self.package}"
        if self._given_endpoint:
            command += f" --endpoint {shlex.quote(self._given_endpoint)}"
        return [
            *lines,
            "To delete what was shared, type this, and the key below when you are asked for it:",
            f"    {command}",
            "Keep the key to yourself:",
            f"    {self.deletion_key}",
        ]


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
        if self.state != "deleted":
            what = f"The deletion of session {self.session_id} waits for the maintainers"
            return printable(f"{what}, since no key came with it.")
        what = f"{self.documents} documents at {self.deleted_at}"
        said = printable(f"Session {self.session_id} is deleted: {what}.")
        return f"{said}\n{printable(f'Receipt to quote: {self.hash}')}"


def _issue_url(issues_url: str | None, session: Session) -> str | None:
    """Return the URL of a new issue with the session's ID, versions and figures in it."""
    if issues_url is None:
        return None
    base = issues_url.rstrip("/")
    if not base.startswith("https://") or not base.endswith("/issues"):
        return issues_url
    environment = documents.coarse_environment(session)
    versions = "\n".join(f"- {name}: {value}" for name, value in environment.items())
    declared = declared_labels(session)
    found = [session.stats(label) for label in session.labels if label in declared]
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
    found = [(word, counts[name]) for name, word in _WORDS.items() if counts.get(name)]
    words = [word.format(number, "" if number == 1 else "s") for word, number in found]
    return ", ".join(words) or "nothing"
