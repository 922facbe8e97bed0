"""Looking a session up for somebody who asks for help: what arrived of it, and the page `/support`."""

from collections.abc import Mapping
from typing import NamedTuple

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from plaintally.contract import Contract
from plaintally_server.deletion import parse_session_id
from plaintally_server.exceptions import Refusal, forbidden, not_found
from plaintally_server.pages import read_form, render
from plaintally_server.settings import Settings
from plaintally_server.store import Reader, SessionTree


class SharedSession(NamedTuple):
    """A session that was shared: what arrived of it, and the contract of its package, where there is one here."""

    session_id: str
    package: str
    tree: SessionTree
    contract: Contract | None


def read_session(reader: Reader, session_id: str, *, contracts: Mapping[str, Contract]) -> SharedSession:
    """What arrived of a session; its own document may be missing.

    Raises:
        Refusal: nothing of it is here, or the id is none.
    """
    session_id = parse_session_id(session_id)
    tree = reader.session_tree(session_id)
    documents = [tree.session] if tree.session is not None else [branch.stats for branch in tree.stats]
    if not documents:
        raise not_found(f"Nothing of the session {session_id} is here.")
    package = str(documents[0].fields["package"])
    return SharedSession(session_id, package, tree, contracts.get(package))


def summarize(shared: SharedSession) -> str:
    """A session as plain text: the place for what its user's own `summarize` shows."""
    session = shared.tree.session
    lines = [f"Session {shared.session_id} of {shared.package}"]
    if session is None:
        lines.append("  the session's own document did not arrive")
    else:
        facts = {"created_at": session.fields["created_at"], **session.fields["environment"]}
        lines += [f"  {name}: {value}" for name, value in facts.items()]
    for stats, invokes in shared.tree.stats:
        fields = stats.fields
        lines += ["", f"{fields['label']}: {fields['total_invokes']} invokes, {fields['failed_count']} failed"]
        for invoke in (stored.fields for stored in invokes):
            context = ", ".join(f"{key}={value}" for key, value in invoke["context"].items())
            start = f"{invoke['execution_start']:%Y-%m-%d %H:%M:%S}"
            lines.append(f"  {start}  {invoke['status']:7}  {invoke['duration_ms']:.2f} ms  {context}".rstrip())
    return "\n".join(lines)


def routes(reader: Reader, *, settings: Settings) -> list[BaseRoute]:
    """The routes of the page for maintainers."""
    support = Support(reader, settings=settings)
    return [
        Route("/support", support.show_form, methods=["GET"]),
        Route("/support", support.take_form, methods=["POST"]),
    ]


class Support:
    """The page for maintainers: it takes the token with each question and remembers nothing."""

    def __init__(self, reader: Reader, *, settings: Settings) -> None:
        self.reader, self.settings = reader, settings

    async def show_form(self, _: Request) -> Response:
        """The form."""
        return render("support.html", is_form=True)

    async def take_form(self, request: Request) -> Response:
        """The session, or the form again with the reason why not."""
        session_id = ""
        try:
            session_id, token = await read_form(request, "session", "token")
            if not self.settings.is_token(token):
                raise forbidden("This is not the maintainer's token.")
            shared = await run_in_threadpool(read_session, self.reader, session_id, contracts=self.settings.contracts)
        except Refusal as refusal:
            return render("support.html", refusal.code, is_form=True, problem=refusal.message, session=session_id)
        return render("support.html", is_form=True, session=session_id, summary=summarize(shared))
