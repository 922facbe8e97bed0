"""A Firestore project through Google's client: pages, numbers of documents, deletions.

The client comes with the extra `plaintally-server[firestore]` and is imported when a project is
opened. Where the variable FIRESTORE_EMULATOR_HOST is set, the client talks to that emulator and
needs no credentials.
"""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from warnings import catch_warnings

from plaintally_server.exceptions import CommandError
from plaintally_server.firestore.field_paths import Fields

if TYPE_CHECKING:
    from google.cloud.firestore import Client, Query

PATIENCE_S = 30.0


class RemoteDocument(NamedTuple):
    """A document as the project has it; times are those of the project's own clock.

    Values are Python's, or of Google's classes where Python has none of the kind; those no contract
    takes.
    """

    id: str
    fields: Fields
    create_time: datetime
    update_time: datetime


class Counted(NamedTuple):
    """How many documents there are, and the time in the project at which this was so."""

    documents: int
    at: datetime


class Project:
    """A project's default database.

    Args:
        name: the id of the project.
        credentials: the JSON file of a service account's key; None takes what the machine has (see
            https://cloud.google.com/docs/authentication/application-default-credentials).

    Raises:
        CommandError: Google's client is not installed, or there are no such credentials.
    """

    def __init__(self, name: str, *, credentials: Path | None = None) -> None:
        self.name = name
        # A Python that Google is to support no longer is warned of by each of its modules, at every
        # pull.
        with catch_warnings(action="ignore", category=FutureWarning), _explaining(name):
            self._client = _make_client(name, credentials)
            self._patience = _make_patience()

    def count(self, collection: str, *, after: str | None) -> Counted:
        """Count the documents of a collection after an id; a thousand cost one read.

        Raises:
            CommandError: the project cannot be reached or refuses.
        """
        with _explaining(self.name):
            counting: Any = self._query(
                collection, after
            ).count()  # its types do not fit its decorator
            [[result]] = counting.get(**self._patience)
            return Counted(int(result.value), result.read_time)

    def page(self, collection: str, *, after: str | None, size: int) -> Sequence[RemoteDocument]:
        """Return the next documents after an id by name; fewer than `size` are the last.

        Raises:
            CommandError: the project cannot be reached or refuses.
        """
        with _explaining(self.name):
            found = self._query(collection, after).limit(size).get(**self._patience)
            return [
                RemoteDocument(one.id, one.to_dict() or {}, one.create_time, one.update_time)
                for one in found
            ]

    def delete(self, collection: str, documents: Sequence[RemoteDocument]) -> int:
        """Delete documents, but none that was changed since it was read; how many were deleted.

        Raises:
            CommandError: the project cannot be reached or refuses.
        """
        if not documents:
            return 0
        with _explaining(self.name):
            return (
                len(documents)
                if self._delete(collection, documents)
                else sum(self._delete(collection, [document]) for document in documents)
            )

    def close(self) -> None:
        """Let go of the connection."""
        self._client.close()  # type: ignore[no-untyped-call]  # Google's

    def _delete(self, collection: str, documents: Sequence[RemoteDocument]) -> bool:
        """Delete all or, where one was changed or is gone, none."""
        from google.api_core.exceptions import Aborted, FailedPrecondition, NotFound

        batch = self._client.batch()
        for document in documents:
            option = self._client.write_option(last_update_time=document.update_time)
            batch.delete(self._client.collection(collection).document(document.id), option=option)
        try:
            batch.commit(**self._patience)
        except (Aborted, FailedPrecondition, NotFound):
            return False
        return True

    def _query(self, collection: str, after: str | None) -> "Query":
        named = self._client.collection(collection)
        query = named.order_by("__name__")
        return query if after is None else query.start_after({"__name__": named.document(after)})


def _make_client(name: str, path: Path | None) -> "Client":
    try:
        from google.cloud.firestore import Client
        from google.oauth2.service_account import Credentials
    except ImportError as error:
        raise CommandError(
            "Google's client is missing; pip install 'plaintally-server[firestore]'"
        ) from error
    if path is None or "FIRESTORE_EMULATOR_HOST" in os.environ:
        return Client(project=name)
    try:
        key = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(key, dict):
            raise ValueError("it holds no JSON object")  # noqa: TRY004, TRY301  # told below, as what Google's class raises
        read: Any = Credentials.from_service_account_info  # which has no types
        return Client(project=name, credentials=read(key))
    except (OSError, ValueError) as error:
        raise CommandError(
            f"{path} is no key of a service account ({error}); name another with --credentials"
        ) from error


def _make_patience() -> dict[str, Any]:
    """Return the retry options of a call, shorter than the minutes of Google's default."""
    from google.api_core.retry import Retry

    return {"retry": Retry(initial=0.2, maximum=5.0, timeout=PATIENCE_S), "timeout": PATIENCE_S}


@contextmanager
def _explaining(project: str) -> Iterator[None]:
    """Turn the errors of Google's client into a sentence."""
    try:
        from google.api_core.exceptions import GoogleAPIError
        from google.auth.exceptions import GoogleAuthError
    except ImportError:
        yield
        return
    try:
        yield
    except (GoogleAPIError, GoogleAuthError) as error:
        last = getattr(error, "cause", None) or error  # of several tries
        reason = (
            str(getattr(last, "message", None) or last).strip().rstrip(".") or type(last).__name__
        )
        raise CommandError(
            f"the project {project} cannot be used ({reason}); what was copied is kept"
        ) from error
