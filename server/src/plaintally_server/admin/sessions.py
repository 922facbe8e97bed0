"""Look up what arrived of a session, for a user who asks its maintainers for help."""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from markupsafe import Markup

from plaintally.contract import Contract
from plaintally.exceptions import DocumentError
from plaintally.firestore import to_document
from plaintally.session import DEFAULT_CAPACITY, Session
from plaintally.session.summary import Summary
from plaintally.sharing import documents
from plaintally_server.exceptions import Refusal, not_found
from plaintally_server.firestore.documents import Stored
from plaintally_server.ingest import rxinfer
from plaintally_server.ingest.deletion_requests import parse_session_id
from plaintally_server.ingest.shared_fields import MAX_RUNS
from plaintally_server.model import Scope, SessionTree, StatsTree
from plaintally_server.store.protocols import Reader

MAX_ROWS = 50  # of each label, on the page


EVERYTHING = Scope("", None)
"""The scope of a command, whose user has the whole database."""


class SharedSession(NamedTuple):
    """A session that was shared, as far as it is of one package.

    Attributes:
        session_id: its ID.
        package: the package.
        tree: the documents of this package that arrived.
        contract: the contract of the package, if a contract here declares it.
        skipped: the number of documents of other packages, if the reader may see these.
    """

    session_id: str
    package: str
    tree: SessionTree
    contract: Contract | None
    skipped: int = 0


def read_session(
    reader: Reader, session_id: str, *, contracts: Mapping[str, Contract], scope: Scope = EVERYTHING
) -> SharedSession:
    """Return what arrived of a session and may be seen; its own document may be missing.

    Anyone can send documents that name a session, so that each document counts by its own package.

    Raises:
        Refusal: nothing of it that may be seen is here, or the ID is invalid.
    """
    session_id = parse_session_id(session_id)
    dialect = rxinfer.find_package(contracts)
    tree = _choose(
        reader.session_tree(session_id), lambda stored: scope.holds(_package_of(stored, dialect))
    )
    found = [tree.session] if tree.session is not None else [branch.stats for branch in tree.stats]
    if not found:
        raise _missing(session_id)
    package = _package_of(found[0], dialect)
    contract = contracts.get(package) if "package" in found[0].fields else None
    own = _choose(tree, lambda stored: _package_of(stored, dialect) == package)
    return SharedSession(session_id, package, own, contract, _count(tree) - _count(own))


def _package_of(stored: Stored, dialect: str | None) -> str:
    return str(stored.fields.get("package") or dialect or "unknown")


def _choose(tree: SessionTree, is_wanted: Callable[[Stored], bool]) -> SessionTree:
    """Return the part of a tree whose documents are wanted; without its stats, nobody knows what an invoke is of."""
    session = tree.session if tree.session is not None and is_wanted(tree.session) else None
    stats = [
        StatsTree(one, [*filter(is_wanted, invokes)], runs)
        for one, invokes, runs in tree.stats
        if is_wanted(one)
    ]
    return SessionTree(session, stats)


def _count(tree: SessionTree) -> int:
    return (tree.session is not None) + sum(1 + len(branch.invokes) for branch in tree.stats)


def summarize(shared: SharedSession, *, n_last: int = 5) -> tuple[Summary, int]:
    """What its user's own `summarize` shows, of what arrived, and how many documents do not fit into it."""
    tree, skipped = shared.tree, shared.skipped
    capacity = max([DEFAULT_CAPACITY, *(len(branch.invokes) for branch in tree.stats)])
    if tree.session is None:
        session = Session(shared.package, contract=shared.contract, capacity=capacity)
        session.restore(identifier=shared.session_id)
    else:
        session = documents.from_session(
            _complete(tree.session, shared), contract=shared.contract, capacity=capacity
        )
    for stats, invokes, _ in tree.stats:
        try:
            restored, _ = documents.from_session_stats(_complete(stats, shared), session)
        except DocumentError:
            skipped += 1 + len(invokes)
            continue
        for invoke in invokes:
            if invoke.fields["status"] == "unknown":  # which ended in no way
                continue
            try:
                documents.from_invoke(_complete(invoke, shared, label=restored.label), restored)
            except DocumentError:
                skipped += 1
    return Summary(session, labels=session.labels, n_last=n_last), skipped


def tell_older(shared: SharedSession) -> Iterator[str]:
    """For a person, of which labels only the newest runs were looked up."""
    for stats, invokes, runs in shared.tree.stats:
        if runs > len(invokes):
            number = f"{runs:,}" if runs < MAX_RUNS else f"at least {runs:,}"
            yield f"Of {number} runs of {stats.fields['label']}, the newest {len(invokes):,} were looked up."


def tell_skipped(skipped: int) -> str:
    """How many documents a summary left out, for a person; anybody who knows a session's ID may have sent them."""
    they = "1 document is" if skipped == 1 else f"{skipped} documents are"
    return f"{they} left out, for what is in them does not fit the session."


def show_session(
    reader: Reader, session_id: str, *, contracts: Mapping[str, Contract], scope: Scope
) -> tuple[str, Markup]:
    """The ID of a session as it is written, and its summary as a part of a page; it may take seconds.

    Raises:
        Refusal: nothing of it is here that may be seen, or the id is none.
    """
    shared = read_session(reader, session_id, contracts=contracts, scope=scope)
    summary, skipped = summarize(shared, n_last=MAX_ROWS)
    page = Markup(summary.to_html(styled=False))  # noqa: S704  # which has escaped what it shows
    said = [*tell_older(shared), *([tell_skipped(skipped)] if skipped else [])]
    return shared.session_id, page + Markup("").join(
        Markup("<p>{}</p>").format(line) for line in said
    )


def _missing(session_id: str) -> Refusal:
    return not_found(f"Nothing of the session {session_id} is here.")


def _complete(stored: Stored, shared: SharedSession, *, label: str = "") -> dict[str, object]:
    return to_document(rxinfer.complete(stored.fields, shared.package, label=label))
