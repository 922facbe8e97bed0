"""Requests to delete: a queue that others need, and tombstones that are kept."""

import asyncio
import random
import uuid
from collections.abc import Iterable, Iterator
from itertools import islice, repeat
from typing import TYPE_CHECKING

from attacks.attack import Attack, Gain, State
from attacks.attacker import many_addresses
from attacks.messages import PACKAGE, ROOT, make_ids, update, write, write_commit, write_json

if TYPE_CHECKING:
    from attacks.attacker import Attacker
    from attacks.target import Target

OK = 200
_QUEUE = 10_000
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class UnknownSessions(Attack):
    """A queue that is full of requests about nothing."""

    name = "deletion queue, unknown sessions"
    sends = (
        "requests to delete sessions that do not exist, from many addresses, into a queue that is "
        "full of them"
    )
    bound = "requests about existing sessions have room of their own; of the others the oldest go"
    options = ("--trusted-proxy=127.0.0.1",)

    def prepare(self, target: "Target") -> State:
        """See `Attack.prepare`."""
        number = int(_QUEUE * target.share_of_ground)
        target.send_all(_ask_as_anybody(str(uuid.uuid4())) for _ in range(number))
        return {"session": target.share().session}

    async def run(self, attacker: "Attacker") -> None:
        """See `Attack.run`."""
        requests = (write("POST", f"{ROOT}:forget", _about(str(uuid.uuid4()))) for _ in repeat(0))
        await attacker.flood(requests, addresses=many_addresses())

    def judge(self, target: "Target", state: State, outcome: State) -> Gain:  # noqa: ARG002
        """See `Attack.judge`."""
        status = target.ask(f"{ROOT}:forget", {"session": state["session"]}).status
        return Gain("" if status == OK else f"an honest request got {status}", is_none=status == OK)


class OwnSessions(UnknownSessions):
    """A queue that is full of requests about sessions of the attacker's own."""

    name = "deletion queue, own sessions"
    sends = (
        "requests to delete sessions that the attacker has shared himself, into a queue that is "
        "full of them"
    )
    bound = "requests of one network are bounded; a request with the key needs no queue"

    def prepare(self, target: "Target") -> State:
        """See `Attack.prepare`."""
        known = []
        for _ in range(int(_QUEUE * target.share_of_ground) // 500):
            sessions = list(_make_sessions(500))
            known += [session for session, _ in sessions]
            target.write([write for _, write in sessions])
        target.send_all(map(_ask_as_anybody, known))
        return {"session": target.share().session}

    async def run(self, attacker: "Attacker") -> None:
        """See `Attack.run`."""

        def requests() -> Iterator[bytes]:
            while True:
                sessions = list(_make_sessions(50))
                yield write_commit([write for _, write in sessions])
                for session, _ in sessions:
                    yield write("POST", f"{ROOT}:forget", _about(session))

        await attacker.flood(requests(), addresses=many_addresses(), connections=1)


class ForeignForms(Attack):
    """Forms that the visitors of another page send without knowing."""

    name = "forms of foreign pages"
    sends = "the form /forget as browsers send it from a page of somebody else, from many addresses"
    bound = "the origin of a form is checked"

    async def run(self, attacker: "Attacker") -> None:
        """See `Attack.run`."""
        origins = (
            {"Origin": "https://evil.example"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Origin": "null"},
        )

        def requests() -> Iterator[bytes]:
            while True:
                for origin in origins:
                    form = f"session={uuid.uuid4()}&key=".encode()
                    yield write("POST", "/forget", form, {**_FORM, **origin})

        await attacker.flood(requests(), addresses=many_addresses())

    def judge(self, target: "Target", state: State, outcome: State) -> Gain:  # noqa: ARG002
        """See `Attack.judge`."""
        taken = outcome["statuses"].get(str(OK), 0)
        return Gain(
            f"{taken:,} requests of visitors were taken" if taken else "", is_none=not taken
        )


class WrongKeys(Attack):
    """Guessing deletion keys, which are too long for that; each guess is looked up."""

    name = "wrong deletion keys"
    sends = "deletions of a known session, each with another wrong key, from many addresses"
    bound = "deletions count like documents; keys have 256 random bits"

    def prepare(self, target: "Target") -> State:
        """See `Attack.prepare`."""
        return {"session": target.share().session}

    async def run(self, attacker: "Attacker") -> None:
        """See `Attack.run`."""
        session = attacker.state["session"]
        bodies = (write_json({"session": session, "key": str(uuid.uuid4())}) for _ in repeat(0))
        requests = (write("POST", f"{ROOT}:forget", body) for body in bodies)
        await attacker.flood(requests, addresses=many_addresses(), connections=16)


class Tombstones(Attack):
    """Sessions that are made to be deleted: each leaves hashes behind."""

    name = "tombstones"
    sends = "sessions of its own, fifty in a commit, and the deletion of each with its key"
    bound = "what a deletion costs is charged; tombstones and receipts are purged"

    async def run(self, attacker: "Attacker") -> None:
        """See `Attack.run`."""
        from shared import KEY

        def requests() -> Iterator[bytes]:
            while True:
                sessions = list(_make_sessions(50))
                yield write_commit([write for _, write in sessions])
                for session, _ in sessions:
                    body = write_json({"session": session, "key": KEY})
                    yield write("POST", f"{ROOT}:forget", body)

        await attacker.flood(requests(), connections=1)

    def judge(self, target: "Target", state: State, outcome: State) -> Gain:  # noqa: ARG002
        """See `Attack.judge`."""
        kept = target.count_tombstones()
        return Gain(f"{kept:,} tombstones and receipts", is_none=True)


class Erasure(Attack):
    """The deletion of a session of the attacker's own, after which the database is written anew."""

    name = "one deletion, many documents"
    sends = "one session of its own and its deletion, to a collector that holds 90 MB"
    bound = "what is erased after a deletion keeps nobody waiting"
    worst_ms = 500

    def prepare(self, target: "Target") -> State:
        """See `Attack.prepare`."""
        from shared import Shared

        texts = {"source": {"stringValue": "a" * 90_000}, "log": {"stringValue": "a" * 90_000}}
        for _ in range(max(1, int(10 * target.share_of_ground))):
            shared = Shared(package=PACKAGE, invokes=50)
            documents = shared.documents
            for name in shared.names[2:]:
                documents[name]["fields"]["context"] = {"mapValue": {"fields": texts}}
            target.write([update(name, document) for name, document in documents.items()])
        return {}

    async def run(self, attacker: "Attacker") -> None:
        """See `Attack.run`."""
        from shared import Shared

        shared = Shared(package=PACKAGE, invokes=0)
        session = {"fields": shared.session_document()["fields"]}
        await attacker.ask(write_commit([update(f"sessions/{shared.session}", session)]))
        body = write_json({"session": shared.session, "key": shared.key})
        await attacker.ask(write("POST", f"{ROOT}:forget", body))
        await asyncio.sleep(attacker.seconds)

    def judge(self, target: "Target", state: State, outcome: State) -> Gain:  # noqa: ARG002
        """See `Attack.judge`."""
        worst_ms = outcome["honest"]["worst_ms"] or float("inf")
        held_up = worst_ms > self.worst_ms
        return Gain(
            f"everybody waited {worst_ms / 1000:.1f} s" if held_up else "", is_none=not held_up
        )


def _about(session: str) -> bytes:
    return write_json({"session": session})


def _ask_as_anybody(session: str) -> bytes:
    """Return a deletion request as a proxy forwards it, from a network of its own."""
    network = f"2a{random.randrange(256):02x}:{random.randrange(65536):x}::1"
    return write("POST", f"{ROOT}:forget", _about(session), {"X-Forwarded-For": network})


def _make_sessions(number: int) -> Iterable[tuple[str, State]]:
    """Return IDs of new sessions, and the writes that share them."""
    from shared import Shared

    for one in islice(make_ids(), number):
        shared = Shared(package=PACKAGE, session=one)
        session = {"fields": shared.session_document()["fields"]}
        yield shared.session, update(f"sessions/{shared.session}", session)


ATTACKS = [UnknownSessions, OwnSessions, ForeignForms, WrongKeys, Tombstones, Erasure]
