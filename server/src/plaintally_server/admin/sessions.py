"""Look up what arrived of a session, for a user who asks its maintainers for help."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from plaintally.contract import Contract
from plaintally.exceptions import DocumentError
from plaintally.session import DEFAULT_CAPACITY, Session
from plaintally.session.saved import nanoseconds, reading, restore_invoke, restore_stats
from plaintally.session.summary import Summary
from plaintally_server.exceptions import not_found
from plaintally_server.firestore.documents import Stored
from plaintally_server.ingest import rxinfer
from plaintally_server.ingest.deletion_requests import parse_session_id
from plaintally_server.ingest.shared_fields import MAX_RUNS
from plaintally_server.model import Scope, SessionTree, StatsTree
from plaintally_server.store.protocols import Reader


class FoundSession(NamedTuple):
    """A session that was looked up.

    Attributes:
        session_id: its ID as it is stored.
        summary: the summary that its user sees, too.
        notes: sentences on what the summary lacks.
    """

    session_id: str
    summary: Summary
    notes: Sequence[str]


def look_up(
    reader: Reader, session_id: str, *, contracts: Mapping[str, Contract], scope: Scope, n_last: int
) -> FoundSession:
    """Return what arrived of a session and may be seen; its own document may be missing.

    Anyone can send documents that name a session, so each document counts by its own package.

    Args:
        reader: the store.
        session_id: the ID as the user copied it.
        contracts: by package.
        scope: the packages that the maintainer may see.
        n_last: how many runs of each label the summary lists.

    Raises:
        Refusal: nothing of it that may be seen is here, or the ID is invalid.
    """
    session_id = parse_session_id(session_id)
    rxinfer_package = rxinfer.find_package(contracts)

    def package_of(stored: Stored) -> str:
        return str(stored.fields.get("package") or rxinfer_package or "unknown")

    visible = _choose(
        reader.session_tree(session_id), lambda stored: scope.holds(package_of(stored))
    )
    arrived = _list_documents(visible)
    if not arrived:
        raise not_found(f"Nothing of the session {session_id} is here.")
    package = package_of(arrived[0])
    contract = contracts.get(package) if "package" in arrived[0].fields else None
    own = _choose(visible, lambda stored: package_of(stored) == package)
    session, n_unfit = _restore(session_id, package, own, contract)
    n_skipped = len(arrived) - len(_list_documents(own)) + n_unfit
    return FoundSession(
        session_id,
        Summary(session, labels=session.labels, n_last=n_last),
        [*_describe_older(own), *_describe_skipped(n_skipped)],
    )


def _choose(tree: SessionTree, is_wanted: Callable[[Stored], bool]) -> SessionTree:
    """Return the wanted documents of a tree; a run goes with its stats, which name its label."""
    session = tree.session if tree.session is not None and is_wanted(tree.session) else None
    stats = [
        StatsTree(one, [*filter(is_wanted, invokes)], runs)
        for one, invokes, runs in tree.stats
        if is_wanted(one)
    ]
    return SessionTree(session, stats)


def _list_documents(tree: SessionTree) -> Sequence[Stored]:
    """Return the session's own document first."""
    below = [one for branch in tree.stats for one in (branch.stats, *branch.invokes)]
    return below if tree.session is None else [tree.session, *below]


def _restore(
    session_id: str, package: str, tree: SessionTree, contract: Contract | None
) -> tuple[Session, int]:
    """Return the session of these documents, and how many of them do not fit it."""
    capacity = max([DEFAULT_CAPACITY, *(len(branch.invokes) for branch in tree.stats)])
    own: dict[str, Any] = {}
    if tree.session is not None:
        fields = tree.session.fields
        own["environment"] = fields["environment"]
        own["created_at_ns"] = nanoseconds(fields["created_at"])
    session = Session(package, contract=contract, capacity=capacity, **own)
    session.restore(identifier=session_id)
    n_unfit = 0
    for stored, invokes, _ in tree.stats:
        label = stored.fields["label"]
        try:
            with reading("the stats of a session"):
                stats = restore_stats(session, label, stored.fields)
        except DocumentError:
            n_unfit += 1 + len(invokes)
            continue
        for invoke in invokes:
            if invoke.fields["status"] == "unknown":  # RxInfer.jl's, for a run that did not end
                continue
            try:
                with reading("an invoke"):
                    restore_invoke(stats, rxinfer.complete(invoke.fields, package, label=label))
            except DocumentError:
                n_unfit += 1
    return session, n_unfit


def _describe_older(tree: SessionTree) -> Iterator[str]:
    for stats, invokes, n_runs in tree.stats:
        if n_runs > len(invokes):
            number = f"{n_runs:,}" if n_runs < MAX_RUNS else f"at least {n_runs:,}"
            yield (
                f"Of {number} runs of {stats.fields['label']}, the newest {len(invokes):,} were "
                "looked up."
            )


def _describe_skipped(n_skipped: int) -> Iterator[str]:
    """Yield how many documents a summary left out; every client that has the ID can send some."""
    if n_skipped:
        they = "1 document is" if n_skipped == 1 else f"{n_skipped} documents are"
        yield f"{they} left out, for what is in them does not fit the session."
