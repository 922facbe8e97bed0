"""Canaries: secrets wherever a user can have one, and then a search for them in everything that
leaves.

Nothing is known here of how the SDK keeps them in: whatever it makes for the wire is searched in
every form.
"""

import asyncio
import base64
import contextlib
import json
import marshal
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canary import hostlib
from canary.leaks import ASCII, CHECKOUT, CORES, LETTERS, NUMBER, find_leaks
from canary.plants import (
    CLASSES,
    LIBRARIES,
    PLAIN,
    RAISERS,
    SECRETS,
    WRAPPERS,
    Raiser,
    Value,
    hide_modules,
    make_class,
)
from collectors import ROOT, run_collector
from hosts import MARKER, Host, Interpreter, wait_until_gone
from loopback import loopback
from plaintally import _count, _spawn, sharing
from plaintally._transport import batches
from plaintally.contract import Contract, Label, Name
from plaintally.session import Session, make_environment
from plaintally.sharing import relay
from plaintally.sharing.automatic import Stream, header

EXAMPLES = 21_000 if os.environ.get("CI") == "true" else 2_100
VALUES = {"plain": PLAIN, "classes": CLASSES, "libraries": LIBRARIES}
ENDPOINT = _spawn.parse_endpoint(hostlib.ENDPOINT)
telemetry = hostlib.telemetry


class Plant(NamedTuple):
    """What a user does something with: a secret, and a value and a way to fail that hold it."""

    session: Session
    secret: str
    value: Value
    raiser: Raiser


Action = Callable[[Plant], object]


class Lines(Stream):
    """Automatic sharing whose other side is a list."""

    def __init__(self, endpoint: _spawn.Endpoint) -> None:
        super().__init__(endpoint)
        self.lines: list[bytes] = []

    def _start(self, session: Session) -> None:
        self.lines.append(header(session, self.endpoint))
        self._pid = os.getpid()
        self._pipe = Pipe(self.lines)  # type: ignore[assignment]


class Pipe:
    """The pipe to that list."""

    def __init__(self, lines: list[bytes]) -> None:
        self.lines = lines

    def write(self, data: bytes) -> bool:
        self.lines.append(data[4:])
        return True

    def finish(self) -> None:
        pass

    drop = finish


def add(key: str, plant: Plant) -> None:
    with plant.session.invoke("fit") as invoke:
        invoke.add(**{key: plant.value})


def add_secret_keys(plant: Plant) -> None:
    with plant.session.invoke("fit") as invoke:
        invoke.add(**{plant.secret: plant.value, "quick": True})
        invoke.add(
            lambda: {"data": {"y": plant.value, plant.secret: plant.value}, "model": plant.secret}
        )
        invoke.add(lambda: plant.raiser(plant.secret, plant.value))  # type: ignore[arg-type,return-value]


def add_what_equals_a_key(plant: Plant) -> None:
    key = make_class(
        plant.secret, str, __eq__=lambda *_: True, __hash__=lambda _: hash("iterations")
    )(plant.secret)
    with plant.session.invoke("fit") as invoke:
        invoke.add(lambda: {key: 7})


def use_other_labels(plant: Plant) -> None:
    equal = make_class(plant.secret, str, __eq__=lambda *_: True, __hash__=lambda _: hash("fit"))(
        plant.secret
    )
    for label in ("fit", equal, plant.value, plant.secret):
        with plant.session.invoke(label) as invoke:
            invoke.add(data=plant.value, **{plant.secret: plant.value})


def fail(plant: Plant) -> None:
    with plant.session.invoke("fit") as invoke:
        invoke.add(data=plant.value, model=plant.value)
        plant.raiser(plant.secret, plant.value)


def fail_where_all_is_logged(plant: Plant) -> None:
    @telemetry.track(
        "fit", context=lambda *values, **named: {"data": values, **named}, session=plant.session
    )
    def work(*_: object, **named: object) -> object:
        return plant.raiser(plant.secret, named)

    work(plant.value, **{plant.secret: plant.value})


def fail_while_generating(plant: Plant) -> None:
    @telemetry.track("fit", session=plant.session)
    def work() -> Iterator[object]:
        yield plant.secret
        yield plant.raiser(plant.secret, plant.value)

    list(work())


def end_with_anything(plant: Plant) -> None:
    invoke = plant.session.invoke("fit").__enter__()
    invoke.__exit__(type(plant.value), plant.value, plant.value)


ACTIONS: tuple[Action, ...] = (
    *(partial(add, key) for key in (*hostlib.FIELDS, "error_message")),
    add_secret_keys,
    add_what_equals_a_key,
    use_other_labels,
    fail,
    fail_where_all_is_logged,
    fail_while_generating,
    end_with_anything,
)


FAILING = (add_secret_keys, fail, fail_where_all_is_logged, fail_while_generating)


def here(action: Action, plant: Plant) -> None:
    with contextlib.suppress(BaseException):
        action(plant)


def in_a_thread(action: Action, plant: Plant) -> None:
    thread = threading.Thread(target=here, args=(action, plant), name=plant.secret)
    thread.start()
    thread.join()


def in_a_task(action: Action, plant: Plant) -> None:
    async def act() -> None:
        async with telemetry.invoke("fit", session=plant.session):
            here(action, plant)

    loop = asyncio.new_event_loop()
    loop.run_until_complete(loop.create_task(act(), name=plant.secret))
    loop.close()


class Step(NamedTuple):
    """What a user does, where, with what."""

    action: Action
    secret: str = ASCII
    make: Callable[[str], Value] = str
    raiser: Raiser = RAISERS[0]
    wrappers: tuple[Callable[[str, Value], Value], ...] = ()
    place: Callable[[Action, Plant], None] = here


def steps(values: tuple[Callable[[str], Value], ...]) -> st.SearchStrategy[list[Step]]:
    """One to three steps; what costs the most is done the least often."""
    choices = (ACTIONS, SECRETS, values, RAISERS)
    wrappers = st.lists(st.sampled_from(WRAPPERS), max_size=2)
    places = st.sampled_from((*[here] * 20, in_a_thread, in_a_task))
    return st.lists(
        st.builds(Step, *map(st.sampled_from, choices), wrappers, places), min_size=1, max_size=3
    )


def take(session: Session, step: Step) -> None:
    value: Value = step.secret
    with contextlib.suppress(UnicodeEncodeError):  # no text of pyarrow's has half a character
        value = step.make(step.secret)
    for wrap in step.wrappers:
        value = wrap(step.secret, value)
    step.place(step.action, Plant(session, step.secret, value, step.raiser))


SESSION = telemetry.create_session()
HOUR_NS = 3_600_000_000_000
AFTER_THE_HOUR_NS = 2_307_123_456_789
"""38 minutes and some seconds, by which the times of the sessions here must have been moved back
when they leave."""


def last_hour_ns() -> int:
    """A time of the hour before this one, `AFTER_THE_HOUR_NS`."""
    return (time.time_ns() // HOUR_NS - 1) * HOUR_NS + AFTER_THE_HOUR_NS


def begin() -> tuple[Session, Lines]:
    """The session as if it had been made in the hour before, shared automatically."""
    SESSION._begin(last_hour_ns())
    SESSION.attach(lines := Lines(ENDPOINT))
    return SESSION, lines


def relayed(lines: list[bytes]) -> bytes:
    """What the other side of automatic sharing sends."""
    batch = relay.Batch(0, *marshal.loads(lines[0]))  # noqa: S302  # the SDK wrote it
    for line in lines[1:]:
        batch.add(*marshal.loads(line))  # noqa: S302
    documents = [*batch.parents.values(), *batch.waiting.values()]
    made = batches.make_requests(documents, ENDPOINT)
    return b"\n".join(request.target.encode() + request.body for request in made)


def leaving(session: Session, lines: Lines) -> dict[str, bytes]:
    """Everything that leaves, and what a user is likely to pass on."""
    preview = telemetry.preview(session)
    target, body = _count.document(telemetry, os.urandom(16), 0)
    found = {
        "preview": preview.content,
        "preview in words": f"{preview}{preview!r}".encode(),
        "issue": str(
            sharing.ShareResult(session, issues_url=telemetry.issues_url).issue_url
        ).encode(),
        "counter": target.encode() + body,
        "automatic": b"\n".join(lines.lines),
        "relayed": relayed(lines.lines) if lines.lines else b"",
    }
    everything = b"".join(found.values())
    assert session.deletion_key.encode() not in everything
    assert b"dev77" not in everything
    for moment in real_times(session):
        # In the first second of an hour a real time reads like the hours that may leave.
        if moment.minute or moment.second:
            assert f":{moment:%M:%S}".encode() not in everything
    return found


def real_times(session: Session) -> Iterator[datetime]:
    """When the session and its runs really began and ended."""
    yield session.created_at
    for label in session.labels:
        for invoke in session.stats(label).invokes:
            assert invoke.execution_end is not None
            yield from (invoke.execution_start, invoke.execution_end)


def leaks_of(*taken: Step) -> list[str]:
    """What of some steps' secrets leaves."""
    session, lines = begin()
    for step in taken:
        take(session, step)
    return find_leaks(b"\n".join(leaving(session, lines).values()))


@pytest.fixture(scope="module", autouse=True)
def surroundings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """An environment, a home and a working directory that are secrets, and modules of the user's
    with known names."""
    home = tmp_path_factory.mktemp("home") / ASCII / LETTERS
    home.mkdir(parents=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        for name in ("HOME", "USER", "LOGNAME", "HOSTNAME", ASCII):
            patch.setenv(name, str(home))
        for module in hide_modules(str(home)):
            patch.setitem(sys.modules, module.__name__, module)
        yield


# The search finds what is planted.


def test_the_host_package_is_a_checkout() -> None:
    assert CHECKOUT in str(telemetry.version)
    session, _ = begin()
    with session.invoke("fit"):
        pass
    assert {f"{moment:%M:%S}" for moment in real_times(session)} > {"38:27"}


def test_every_form_of_a_secret_is_found() -> None:
    for text in (ASCII, LETTERS, str(NUMBER)):
        for before in ("", "a", "ab", "abc", "Ж", "🗝"):
            whole = f"{before}{text} and more"
            for encoding in ("utf-8", "utf-16", "utf-16-be", "utf-32"):
                raw = whole.encode(encoding)
                for form in (
                    raw,
                    raw.hex().encode(),
                    base64.b64encode(raw),
                    base64.urlsafe_b64encode(raw),
                ):
                    assert find_leaks(b"\0\x01" + form + b"}"), (whole, form)
            texts = (
                json.dumps(whole),
                repr(whole),
                ascii(whole),
                quote(whole),
                whole.upper(),
                whole[::-1],
                repr(raw),
            )
            assert all(find_leaks(form.encode()) for form in texts)
            assert find_leaks(whole.encode("utf-7"))
    for secret in SECRETS:
        for core, text in CORES.items():
            found = {what.partition(":")[0] for what in find_leaks(json.dumps([secret]).encode())}
            assert (core in found) is (text in secret)
    assert find_leaks(repr(float(NUMBER)).encode()) == ["number: a number with a point"]
    assert find_leaks(marshal.dumps({NUMBER: ASCII})) == ["ascii: utf-8"]


def test_nothing_is_found_where_nothing_is() -> None:
    noise = os.urandom(200_000)
    for form in (
        noise,
        noise.hex().encode(),
        base64.b64encode(noise),
        base64.urlsafe_b64encode(noise),
    ):
        assert find_leaks(form) == []
    assert leaks_of() == []


def test_a_secret_that_a_contract_lets_through_is_found_wherever_something_leaves() -> None:
    contract = Contract(labels={"fit": Label({"edition": Name(r"\w+")}), ASCII: Label()})
    environment = make_environment(telemetry.version)
    session = Session(
        "hostlib",
        contract=contract,
        module=telemetry.module,
        environment=environment,
        created_at_ns=last_hour_ns(),
    )
    session.attach(lines := Lines(ENDPOINT))
    take(session, Step(partial(add, "edition")))
    take(session, Step(use_other_labels))
    found = {name for name, content in leaving(session, lines).items() if find_leaks(content)}
    assert found == {"preview", "preview in words", "issue", "automatic", "relayed"}


# Nothing is found of what users have.


@pytest.mark.parametrize("secret", [ASCII, SECRETS[3]], ids=["word", "text"])
def test_no_way_alone_lets_a_secret_leave(secret: str) -> None:
    values = [make for kind in VALUES.values() for make in kind]
    steps = [Step(action, secret, make) for action in ACTIONS for make in values]
    steps += [Step(action, secret, raiser=raiser) for action in FAILING for raiser in RAISERS]
    assert [step for step in steps if leaks_of(step)] == []


@pytest.mark.long(keep=2)
@pytest.mark.parametrize("kind", VALUES)
def test_no_ways_together_let_a_secret_leave(kind: str) -> None:
    @settings(max_examples=EXAMPLES // len(VALUES))
    @given(taken=steps(VALUES[kind]))
    def check(taken: list[Step]) -> None:
        assert leaks_of(*taken) == []

    check()


def test_what_is_asked_for_leaves_and_nothing_else() -> None:
    session, _ = begin()
    for raiser in RAISERS[:12]:
        take(session, Step(fail, ASCII, raiser=raiser))
        take(session, Step(partial(add, "model"), LETTERS))
        take(session, Step(add_secret_keys, SECRETS[2]))
    for words, cores in ((["error_message"], {"ascii"}), (["source"], {"letters", "ascii"})):
        preview = telemetry.preview(session, include=words)
        assert {what.partition(":")[0] for what in find_leaks(preview.content)} == cores
        private = {"error_message": "error_message", "source": "model"}[words[0]]
        rest = [remove(private, document.fields) for document in preview.documents]
        assert find_leaks(json.dumps(rest).encode()) == []


def remove(key: str, fields: Any) -> Any:  # noqa: ANN401
    """The fields of a document without one key of its context."""
    copied = json.loads(json.dumps(fields))
    copied.get("context", {"mapValue": {}})["mapValue"].get("fields", {}).pop(key, None)
    return copied


def test_a_saved_session_holds_what_the_user_may_see_and_lets_out_as_little(tmp_path: Path) -> None:
    session, _ = begin()
    for action in ACTIONS:
        take(session, Step(action, ASCII))
    session.save(tmp_path / ASCII)
    assert find_leaks((tmp_path / ASCII).read_bytes())
    assert find_leaks(telemetry.preview(Session.load(tmp_path / ASCII)).content) == []
    data = session.to_dict()
    data["labels"]["fit"]["context_keys"].append(ASCII)
    data["labels"]["fit"]["invokes"][0]["context"][ASCII] = ASCII
    assert find_leaks(telemetry.preview(Session.from_dict(data)).content) == []


# Real processes, in surroundings that are secrets.

SCRIPT = """
import asyncio, sys, threading
import hostlib

secret = sys.argv[1]

class {ascii}(hostlib.ConvergenceError):
    pass

def {letters}({ascii}_=secret):
    raise {ascii}(secret, {ascii}_) from KeyError(sys.argv)

def use():
    for key in ("data", "solver", "edition", "model", "iterations", secret):
        with hostlib.telemetry.invoke("fit") as invoke:
            invoke.add(**{{key: {{"y": [secret], secret: __file__}} if key == "data" else secret}})
            hostlib.call({letters})

def quietly():
    for _ in range(6):
        try:
            use()
        except hostlib.ConvergenceError:
            pass

async def main():
    await asyncio.create_task(asyncio.to_thread(quietly), name=secret)

hostlib.telemetry.enable_automatic_sharing(persist=False)
threading.current_thread().name = secret
thread = threading.Thread(target=quietly, name=secret)
thread.start()
thread.join()
asyncio.run(main())
with hostlib.telemetry.invoke(secret):
    pass
hostlib.telemetry.share(show_progress=False)
"""


def run_in_secret_surroundings(interpreter: Interpreter, folder: Path, endpoint: str) -> None:
    """Count, log, share and share automatically on a machine whose user has secrets for names, and
    await the end."""
    site = folder / "site"
    home = folder / ASCII
    place = folder / ASCII / LETTERS
    place.mkdir(parents=True)
    shutil.copytree(
        Path(hostlib.__file__).parent,
        site / "hostlib",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    package = site / "hostlib/__init__.py"
    package.write_text(package.read_text().replace(hostlib.ENDPOINT, endpoint))
    script = place / f"{ASCII}.py"
    script.write_text(SCRIPT.format(ascii=ASCII, letters=LETTERS))
    names = (
        "USER",
        "LOGNAME",
        "HOSTNAME",
        "LANG",
        "TMPDIR",
        "VIRTUAL_ENV",
        ASCII,
        "AWS_SECRET_ACCESS_KEY",
    )
    renamed = ("unshare", "--uts", "--map-root-user", "sh", "-c")
    program = 'echo "$0" > /proc/sys/kernel/hostname && exec "$@"'
    completed = subprocess.run(
        [*renamed, program, ASCII, str(interpreter.python), str(script), f"{ASCII} {LETTERS}"],
        env=Host(interpreter, site, home).environment(
            {**dict.fromkeys(names, str(place)), MARKER: str(folder)}
        ),
        cwd=place,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert completed.returncode == 0, completed.stderr
    wait_until_gone(str(folder))


def search_database(database: Path) -> list[str]:
    """What is found in all files of a collector's database; what it says of sessions lies there,
    too."""
    files = sorted(database.parent.glob(f"{database.name}*"))
    assert database in files
    return find_leaks(b"\n".join(path.read_bytes() for path in files))


@pytest.mark.linux
def test_a_process_in_secret_surroundings_sends_none_of_them(
    bare: Interpreter, tmp_path: Path
) -> None:
    with loopback() as server:
        run_in_secret_surroundings(bare, tmp_path, server.endpoint)
        sent = b"\n".join(server.requests)
    assert sent.count(b"using_hostlib?documentId=") == 1
    # Shared twice: parents, then invokes.
    assert sent.count(b"/databases/(default)/documents:commit ") >= 4
    assert sent.count(b'"type":{"stringValue":"ConvergenceError"}') >= 24
    assert sent.count(b'"package_version":{"stringValue":"1.2.3.dev"}') >= 3
    times = re.findall(rb'"(\w+)":\{"timestampValue":"[0-9-]+T[0-9]{2}:([^"]*)Z"\}', sent)
    assert {name for name, _ in times} == {
        b"timestamp",
        b"created_at",
        b"execution_start",
        b"execution_end",
    }
    assert {rest for name, rest in times if name in (b"timestamp", b"created_at")} == {b"00:00"}
    # Minutes of runs that follow the import at once.
    assert {rest[:2] for _, rest in times} <= {
        b"00",
        b"01",
    }
    assert re.search(rb'"hostlib:[0-9]+ call"', sent)
    assert find_leaks(sent) == []


@pytest.mark.linux
def test_a_collector_keeps_none_of_them(bare: Interpreter, tmp_path: Path) -> None:
    declared = telemetry.contract
    assert declared is not None
    contract = tmp_path / "hostlib.json"
    contract.write_text(json.dumps({"package": "hostlib", **declared.to_dict()}))
    database = tmp_path / "collected.sqlite"
    with run_collector(database, "--contract", str(contract)) as collector:
        run_in_secret_surroundings(bare, tmp_path, f"{collector.url}{ROOT}")
        assert search_database(database) == []
    assert search_database(database) == []
    with sqlite3.connect(database) as connection:
        [(invokes,)] = connection.execute(
            "SELECT count(*) FROM documents WHERE collection = 'invokes'"
        )
        assert invokes == 12
        connection.execute("CREATE TABLE planted AS SELECT ? AS secret", [f"x{LETTERS}"])
    connection.close()
    assert search_database(database) == ["letters: utf-8"]
