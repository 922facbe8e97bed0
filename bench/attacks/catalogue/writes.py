"""Writes without a token that are no whole documents, or below another user's session."""

import json
import uuid
from collections.abc import Iterable, Iterator
from itertools import count, islice, repeat
from typing import TYPE_CHECKING

from attacks.attack import Attack, Gain, State
from attacks.messages import (
    OTHER,
    PACKAGE,
    ROOT,
    bearer,
    count_fields,
    make_ids,
    update,
    write,
    write_commit,
    write_json,
)

if TYPE_CHECKING:
    from attacks.attacker import Attacker
    from attacks.target import Target

OK = 200


class MaskedCommits(Attack):
    """A mask that names one field again and again, of a document that has many."""

    name = "huge mask"
    sends = "commits in gzip whose mask has 3,000 names, and then one of them 250,000 times"
    bound = "no masks without a token"

    async def run(self, attacker: "Attacker") -> None:
        """See `Attack.run`."""
        headers = bearer(attacker.state["token"]) if "token" in attacker.state else {}
        names = [f"name_of_a_field_{number:04}" for number in range(3000)]
        empty = {name: {"nullValue": None} for name in names}

        def requests() -> Iterator[bytes]:
            while True:
                one = str(uuid.uuid4())
                fields = {**count_fields(one), **empty}
                mask = {"fieldPaths": [*names, *names[:1] * 250_000]}
                document = {"fields": fields}
                yield write_commit(
                    [update(f"using_{PACKAGE}/{one}", document, updateMask=mask)], headers
                )

        await attacker.flood(requests(), connections=1)


class MaskedCommitsWithToken(MaskedCommits):
    """The same with the token of another package."""

    name = "huge mask, with a token"
    bound = "at most 100 paths, none twice, merged in linear time"

    def prepare(self, target: "Target") -> State:
        """See `Attack.prepare`."""
        return {"token": target.create_token(OTHER)}


class MaskedPatch(Attack):
    """Changing somebody's session by its ID alone."""

    name = "masked PATCH of a session"
    sends = "PATCH of a known session with updateMask.fieldPaths=environment"
    bound = "no masks without a token; a whole session must bring its deletion_key_hash"

    def prepare(self, target: "Target") -> State:
        """See `Attack.prepare`."""
        return {"session": target.share().session}

    async def run(self, attacker: "Attacker") -> None:
        """See `Attack.run`."""
        session = attacker.state["session"]
        environment = {"fields": {"environment": _environment(os="Attacked")}}
        ways = (
            "updateMask.fieldPaths",
            "updateMask%2EfieldPaths",
            "updateMask.fieldPaths=id&updateMask.fieldPaths",
        )
        for way in ways:
            await attacker.ask(
                write(
                    "PATCH", f"{ROOT}/sessions/{session}?{way}=environment", write_json(environment)
                )
            )
        masked = update(
            f"sessions/{session}", environment, updateMask={"fieldPaths": ["environment"]}
        )
        for verb in ("commit", "batchWrite"):
            await attacker.ask(write("POST", f"{ROOT}:{verb}", write_json({"writes": [masked]})))

    def judge(self, target: "Target", state: State, outcome: State) -> Gain:  # noqa: ARG002
        """See `Attack.judge`."""
        changed = "Attacked" in json.dumps(target.read(f"sessions/{state['session']}"))
        return Gain("the session was changed" if changed else "", is_none=not changed)


class Oracle(Attack):
    """Reading a session by its ID, from what a commit says about the times of its documents."""

    name = "updateTime oracle"
    sends = "commits that change a field only if a guess is wrong, and fail if it is"
    bound = "no masks, preconditions or times of earlier documents without a token"
    guesses: State = {  # noqa: RUF012
        "os": ["Windows", "Darwin", "Linux"],
        "machine": ["arm64", "AMD64", "x86_64"],
        "python_version": [f"3.{minor}.{patch}" for minor in (13, 12, 11) for patch in range(6)],
        "cpu_threads": [str(number) for number in range(1, 65)],
        "word_size": ["32", "64"],
    }

    def prepare(self, target: "Target") -> State:
        """See `Attack.prepare`."""
        return {"session": target.share().session}

    async def run(self, attacker: "Attacker") -> None:
        """See `Attack.run`."""
        session = attacker.state["session"]
        learned = []
        name = f"sessions/{session}"
        same = update(
            name, {"fields": {"id": {"stringValue": session}}}, updateMask={"fieldPaths": ["id"]}
        )
        status, body = await attacker.ask(_commit([same]))
        moment = json.loads(body)["writeResults"][0].get("updateTime") if status == OK else None
        verify = {"verify": same["update"]["name"], "currentDocument": {"updateTime": moment}}  # type: ignore[index]
        for field, guesses in self.guesses.items():
            kind = "integerValue" if field in ("cpu_threads", "word_size") else "stringValue"
            path = {"fieldPaths": [f"environment.{field}"]}
            for guess in guesses:
                value = {"mapValue": {"fields": {field: {kind: guess}}}}
                change = update(name, {"fields": {"environment": value}}, updateMask=path)
                again = {**same, "currentDocument": {"updateTime": moment}}
                for second in (again, verify):
                    status, _ = await attacker.ask(_commit([change, second]))
                    if status == OK:
                        learned.append(f"{field}={guess}")
                        break
                if status == OK:
                    break
        attacker.notes["learned"] = learned

    def judge(self, target: "Target", state: State, outcome: State) -> Gain:  # noqa: ARG002
        """See `Attack.judge`."""
        learned = outcome.get("learned", [])
        return Gain(
            f"read {len(learned)} of {len(self.guesses)} fields" if learned else "", not learned
        )


class Below(Attack):
    """Documents below a session whose ID is known; `judge` asks for what a look-up would find."""

    def prepare(self, target: "Target") -> State:
        """See `Attack.prepare`."""
        shared = target.share()
        stats = shared.stats_document()["fields"]
        run = shared.invoke_document()["fields"]
        return {"session": shared.session, "stats_id": shared.stats, "stats": stats, "run": run}

    async def run(self, attacker: "Attacker") -> None:
        """See `Attack.run`."""
        await attacker.flood(self.requests(attacker.state), connections=2)

    def requests(self, state: State) -> Iterable[bytes]:
        """Return the requests."""
        raise NotImplementedError

    def judge(self, target: "Target", state: State, outcome: State) -> Gain:  # noqa: ARG002
        """See `Attack.judge`."""
        below = target.count_where("session_stats", "session", state["session"]) - 1
        runs = target.count_where("invokes", "session_stats", state["stats_id"]) - 2
        parts = [f"{below:,} foreign statistics"] * bool(below) + [f"{runs:,} foreign runs"] * bool(
            runs
        )
        return Gain(", ".join(parts), is_none=not parts)


class ForeignStats(Below):
    """Statistics below a known session, of its own package and of another."""

    name = "statistics below a session"
    sends = (
        "statistics that name a known session, of its package and of another, with and without a "
        "hash of a key"
    )
    bound = "statistics must bring the session's deletion_key_hash and package"

    def requests(self, state: State) -> Iterable[bytes]:
        """See `Below.requests`."""
        while True:
            for package in (PACKAGE, OTHER):
                for key in ({}, {"deletion_key_hash": {"stringValue": uuid.uuid4().hex * 2}}):
                    one = str(uuid.uuid4())
                    fields = {k: v for k, v in state["stats"].items() if k != "deletion_key_hash"}
                    more = {"id": {"stringValue": one}, "package": {"stringValue": package}, **key}
                    yield write_commit(
                        [update(f"session_stats/{one}", {"fields": {**fields, **more}})]
                    )


class ForeignRuns(Below):
    """A hundred thousand runs below a known session."""

    name = "runs below a session"
    sends = "commits in gzip of 500 runs below known statistics, with and without a hash of a key"
    bound = "runs must bring the deletion_key_hash; what is below a session is bounded"

    def requests(self, state: State) -> Iterable[bytes]:
        """See `Below.requests`."""
        run = {key: value for key, value in state["run"].items() if key != "deletion_key_hash"}
        ids = make_ids()
        while True:
            for key in ({}, {"deletion_key_hash": {"stringValue": uuid.uuid4().hex * 2}}):
                yield write_commit([_run(one, run, key) for one in islice(ids, 500)])


class OwnRuns(Attack):
    """The attacker's own session with as many runs as possible, then looked up."""

    name = "runs below one's own session"
    sends = "a session of its own, and commits in gzip of 500 runs below it"
    bound = "what is below a session is bounded in number"
    most = 10_000

    def prepare(self, target: "Target") -> State:  # noqa: ARG002
        """See `Attack.prepare`."""
        from shared import Shared

        shared = Shared(package=PACKAGE)
        documents = {name: document["fields"] for name, document in shared.documents.items()}
        return {
            "documents": documents,
            "stats_id": shared.stats,
            "run": shared.invoke_document()["fields"],
        }

    async def run(self, attacker: "Attacker") -> None:
        """See `Attack.run`."""
        documents = attacker.state["documents"]
        await attacker.ask(
            write_commit([update(name, {"fields": fields}) for name, fields in documents.items()])
        )
        run = attacker.state["run"]
        ids = make_ids()
        requests = (
            write_commit([_run(one, run, {}) for one in islice(ids, 500)]) for _ in repeat(0)
        )
        await attacker.flood(requests, connections=2)

    def judge(self, target: "Target", state: State, outcome: State) -> Gain:  # noqa: ARG002
        """See `Attack.judge`."""
        runs = target.count_where("invokes", "session_stats", state["stats_id"])
        return Gain(f"{runs:,} runs below one session" if runs else "", is_none=runs <= self.most)


class InventedVersions(Attack):
    """Imports of versions that nobody ever released, as many as one address may send."""

    name = "invented versions"
    sends = "commits in gzip of 500 imports, each of another version"
    bound = (
        "a package has at most 10,000 combinations of versions a day, and pages read totals of days"
    )
    most = 10_000
    slow_ms = 200

    async def run(self, attacker: "Attacker") -> None:
        """See `Attack.run`."""

        def requests() -> Iterator[bytes]:
            for start in count(0, 500):
                writes = []
                for number, one in enumerate(islice(make_ids(), 500), start):
                    version = {"stringValue": f"9.{number // 1000}.{number % 1000}"}
                    fields = {**count_fields(one), "package_version": version}
                    writes.append(update(f"using_{PACKAGE}/{one}", {"fields": fields}))
                yield write_commit(writes)

        await attacker.flood(requests(), connections=2)

    def judge(self, target: "Target", state: State, outcome: State) -> Gain:  # noqa: ARG002
        """See `Attack.judge`."""
        versions = target.count_versions()
        took_ms = target.time_page_ms(f"/packages/{PACKAGE}?days=365")
        is_none = versions <= self.most and took_ms <= self.slow_ms
        return Gain(f"{versions:,} versions are told apart; a page takes {took_ms:.0f} ms", is_none)


class Queries(Attack):
    """Query strings that are malformed, contradict themselves, or are spelled in another way."""

    name = "query strings"
    sends = "counts with malformed, contradictory and misspelled parameters"
    bound = "each is answered with 400"
    queries = (
        "documentId=%zz",
        "documentId=%",
        "documentId=a%4",
        "documentId=%ff",
        "documentId={id}&documentId=b",
        "documentId={id}&document_id=b",
        "document_id={id}",
        "documentId={id}&update_mask.field_paths=id",
        "documentId={id}&updateMask.field_paths=id",
        "documentId={id}&currentDocument.exists=true&currentDocument.exists=false",
        "documentId={id}&current_document.exists=false",
        "documentId={id}&%64ocumentId=b",
    )

    async def run(self, attacker: "Attacker") -> None:
        """See `Attack.run`."""
        taken = []
        for query in self.queries:
            one = str(uuid.uuid4())
            body = write_json({"fields": count_fields(one)})
            target = f"{ROOT}/using_{PACKAGE}?{query.format(id=one)}"
            status, _ = await attacker.ask(write("POST", target, body))
            if status == OK:
                taken.append(query)
        for query in islice(self.queries, 7, 11):
            one = str(uuid.uuid4())
            body = write_json({"fields": count_fields(one)})
            second = query.partition("&")[2]
            target = f"{ROOT}/using_{PACKAGE}/{one}?{second}"
            status, _ = await attacker.ask(write("PATCH", target, body))
            if status == OK:
                taken.append(f"PATCH {second}")
        attacker.notes["taken"] = taken

    def judge(self, target: "Target", state: State, outcome: State) -> Gain:  # noqa: ARG002
        """See `Attack.judge`."""
        taken = outcome.get("taken", [])
        return Gain(f"{len(taken)} are taken" if taken else "", is_none=not taken)


def _environment(**more: str) -> State:
    texts = {"python_version": "1", "package_version": "1", "os": "1", "machine": "1", **more}
    fields: State = {name: {"stringValue": text} for name, text in texts.items()}
    numbers = {"cpu_threads": {"integerValue": "1"}, "word_size": {"integerValue": "1"}}
    return {"mapValue": {"fields": {**fields, **numbers}}}


def _run(one: str, fields: State, more: State) -> State:
    return update(f"invokes/{one}", {"fields": {**fields, "id": {"stringValue": one}, **more}})


def _commit(writes: list[State]) -> bytes:
    return write("POST", f"{ROOT}:commit", write_json({"writes": writes}))


ATTACKS = [
    MaskedCommits,
    MaskedCommitsWithToken,
    MaskedPatch,
    Oracle,
    ForeignStats,
    ForeignRuns,
    OwnRuns,
    InventedVersions,
    Queries,
]
