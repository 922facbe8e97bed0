"""Sharing: the bytes that were previewed are the bytes that arrive, in batches, with every kind of
answer."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

from loopback import OK, Loopback, answer, error, loopback
from plaintally import Telemetry, sharing
from plaintally._spawn import parse_endpoint
from plaintally.contract import Choice, Contract, ErrorType, Integer, Label, Source
from plaintally.exceptions import ConfigurationError, SharingError
from plaintally.session import Session
from plaintally.sharing import documents
from plaintally.sharing.automatic import header
from read_back import read_invoke, read_session, read_stats
from terminals import see_at_terminal

pytestmark = pytest.mark.usefixtures("as_a_person")
CONTRACT = Contract(
    labels={
        "fit": Label(
            {
                "solver": Choice("exact"),
                "steps": Integer(0, 10**6),
                "model": Source(),
                "error": ErrorType(),
            }
        )
    }
)
ID = "9eb898b5-76a4-49b0-b1b6-ba209ba39adf"
DENIED = error(403, "No such package.", "PERMISSION_DENIED")


@pytest.fixture
def server() -> Iterator[Loopback]:
    with loopback() as running:
        yield running


def make(server: Loopback | None, invokes: int = 3, **settings: Any) -> Telemetry:  # noqa: ANN401
    endpoint = server.endpoint if server else None
    telemetry = Telemetry("pkg", version="1.0", endpoint=endpoint, contract=CONTRACT, **settings)
    telemetry.set_session(telemetry.create_session())
    for index in range(invokes):
        with telemetry.invoke("fit") as invoke:
            invoke.add(solver="exact", steps=index, model="the source")
    return telemetry


def session_of(telemetry: Telemetry) -> Session:
    assert telemetry.session is not None
    return telemetry.session


def writes(request: bytes) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(request.partition(b"\r\n\r\n")[2])["writes"]
    return [write["update"] for write in found]


def test_the_bytes_that_were_shown_are_the_bytes_that_arrive(server: Loopback) -> None:
    telemetry = make(server, 1200)
    preview = telemetry.preview()
    result = telemetry.share(show_progress=False)
    assert b"".join(server.requests) == preview.content
    assert result.complete
    assert result.shared == {"sessions": 1, "session_stats": 1, "invokes": 1000}  # the capacity
    assert [len(writes(request)) for request in server.requests] == [2, 500, 500]
    assert b"the source" not in preview.content
    assert "the source" not in str(preview)


def test_parents_come_first_and_documents_read_back(server: Loopback) -> None:
    telemetry = make(server)
    telemetry.share(show_progress=False)
    session = session_of(telemetry)
    [stats, *_] = [session_of(telemetry).stats("fit")]
    found = [update for request in server.requests for update in writes(request)]
    assert [update["name"].split("/")[-2:] for update in found] == [
        ["sessions", session.id],
        ["session_stats", stats.id],
        *(["invokes", invoke.id] for invoke in stats.invokes),
    ]
    shared = read_session({"fields": found[0]["fields"]}, CONTRACT)
    shift = timedelta(microseconds=session.shift_us)
    assert (shared.id, shared.created_at) == (session.id, session.created_at - shift)
    assert shared.environment == session.environment
    shared_stats, session_id = read_stats({"fields": found[1]["fields"]}, shared)
    assert session_id == session.id
    for update, invoke in zip(found[2:], stats.invokes, strict=True):
        read, stats_id = read_invoke({"fields": update["fields"]}, shared_stats)
        assert stats_id == stats.id
        for name in ("id", "status", "duration_ms"):
            assert getattr(read, name) == getattr(invoke, name)
        assert invoke.execution_end is not None
        assert read.execution_start == invoke.execution_start - shift
        assert read.execution_end == invoke.execution_end - shift
        assert read.context == {
            key: value for key, value in invoke.context.items() if key != "model"
        }
    again = documents.session_stats(shared_stats, session_id)["fields"]
    own = "deletion_key_hash"  # a session that was read back has another key
    assert {**again, own: None} == {**found[1]["fields"], own: None}
    assert {update["fields"][own]["stringValue"] for update in found} == {
        documents.hash_key(session.deletion_key)
    }


def test_what_is_private_leaves_only_after_it_was_shown_and_in_that_call_alone(
    server: Loopback,
) -> None:
    telemetry = make(server)
    with pytest.raises(ZeroDivisionError), telemetry.invoke("fit"):
        raise ZeroDivisionError("what it said")
    with pytest.raises(SharingError, match="look at what would leave"):
        telemetry.share(include={"source"})
    with pytest.raises(SharingError, match="can only name error_message and source"):
        telemetry.preview(include={"everything"})
    assert b"the source" in telemetry.preview(include={"source"}).content
    telemetry.share(show_progress=False, include={"source"})
    sent = b"".join(server.requests)
    assert b"the source" in sent
    assert b"what it said" not in sent
    with pytest.raises(SharingError, match="look at what would leave"):
        telemetry.share(include={"source", "error_message"})
    server.requests.clear()
    telemetry.share(show_progress=False)
    assert b"the source" not in b"".join(server.requests)


def test_a_label_that_nobody_declared_stays(server: Loopback) -> None:
    telemetry = make(server)
    with telemetry.invoke("undeclared secret"):
        pass
    assert telemetry.preview().withheld == ("undeclared secret",)
    telemetry.share(show_progress=False)
    assert b"undeclared" not in b"".join(server.requests)


def test_without_commit_each_document_goes_by_itself() -> None:
    with loopback(answer(404), OK) as server:
        result = make(server).share(show_progress=False)
        assert result.shared == {"sessions": 1, "session_stats": 1, "invokes": 3}
        assert [request.split()[0] for request in server.requests][:3] == [
            b"POST",
            b"PATCH",
            b"PATCH",
        ]


def test_a_fault_in_one_document_keeps_no_other_back() -> None:
    refused = error(400, "The field steps is too large.", "INVALID_ARGUMENT")
    with loopback(OK, refused, OK, refused, OK) as server:
        result = make(server).share(show_progress=False)
    assert (result.shared, result.failed) == (
        {"sessions": 1, "session_stats": 1, "invokes": 2},
        {"invokes": 1},
    )
    assert result.reason == "The field steps is too large"
    assert not result.complete
    assert "1 run failed, 0 documents were not sent" in str(result)


@pytest.mark.parametrize(
    ("answers", "requests", "reason"),
    [
        ((DENIED,), 2, "No such package"),
        ((answer(503),), 3, "status 503"),
        ((answer(302, "Location: http://x/"),), 1, "302"),
    ],
)
def test_a_refusal_tells_why(answers: tuple[bytes, ...], requests: int, reason: str) -> None:
    with loopback(*answers) as server, pytest.warns(RuntimeWarning, match="nothing was shared"):
        result = make(server).share(show_progress=False)
    assert len(server.requests) == requests
    assert result.shared == {}
    assert reason in str(result)
    assert str(result).startswith("Nothing was shared")


def test_a_server_that_is_not_there_is_told_of() -> None:
    with loopback() as server:
        telemetry = make(server)
    with pytest.warns(RuntimeWarning, match="could not be reached: Connection refused"):
        assert not telemetry.share(show_progress=False).complete


@pytest.mark.parametrize("size", [b"zz", b"-5", b"", b"0x5", b"1_0"])
def test_an_answer_that_is_no_http_is_told_of(size: bytes) -> None:
    chunked = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + size + b"\r\nhello\r\n0\r\n\r\n"
    )
    with loopback(chunked) as server:
        with pytest.warns(RuntimeWarning, match="speaks no HTTP"):
            assert not make(server).share(show_progress=False).complete
        with pytest.raises(SharingError, match="speaks no HTTP"):
            make(server).forget(ID, "the key")


def test_afterwards_it_says_what_to_do_with_the_id(
    server: Loopback, capsys: pytest.CaptureFixture[str]
) -> None:
    telemetry = make(server, issues_url="https://github.com/example/pkg/issues")
    result = telemetry.share()
    said, bars = capsys.readouterr()
    assert bars == ""  # nobody looks
    assert said == f"{result}\n"
    assert said.startswith("Thank you. 1 session, statistics of 1 label, 3 runs of pkg are shared")
    assert result.issue_url is not None
    assert result.issue_url.startswith("https://github.com/example/pkg/issues/new?title=pkg")
    for told in (result.session_id, result.deletion_key, result.issue_url):
        assert told is not None
        assert told in said
    assert str(result.session_id) in result.issue_url
    assert str(result.deletion_key) not in result.issue_url
    assert str(result.deletion_key).encode() not in b"".join(server.requests)


def test_ctrl_c_says_what_was_shared_and_ends(capsys: pytest.CaptureFixture[str]) -> None:
    with loopback(held=True) as server:
        telemetry = make(server)

        def interrupt() -> None:
            server.wait_for(1)
            server.answers.append(OK)
            server.release.set()
            server.wait_for(2)
            os.kill(os.getpid(), signal.SIGINT)

        server.answers[:] = [OK, answer(503, "Retry-After: 20")]
        thread = threading.Thread(target=interrupt)
        thread.start()
        with pytest.raises(KeyboardInterrupt):
            telemetry.share()
        thread.join()
        assert "1 session, statistics of 1 label of pkg are shared" in capsys.readouterr().out
        server.answers[:] = [OK]
        assert telemetry.share(show_progress=False).complete


def test_a_saved_session_is_shared_from_elsewhere(server: Loopback, tmp_path: Path) -> None:
    telemetry = make(server)
    path = tmp_path / "session.json"
    session_of(telemetry).save(path)
    assert path.stat().st_mode & 0o777 == 0o600
    loaded = Session.load(path)
    assert loaded.to_dict() == session_of(telemetry).to_dict()
    telemetry.share(loaded, show_progress=False)
    assert b"".join(server.requests) == telemetry.preview().content


def test_where_no_session_can_be_saved_the_remedy_is_named(
    server: Loopback, tmp_path: Path
) -> None:
    (tmp_path / "folder").mkdir()
    for name, advice in (("folder", "a file instead"), ("no/x", "create the folder .*/no,")):
        with pytest.raises(OSError, match=rf"; .*{advice}.*: '.*{name}'$"):
            session_of(make(server)).save(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_no_part_of_a_development_version_leaves_with_a_session() -> None:
    """From the log, and from a file that was made elsewhere."""
    issues = "https://example.org/pkg/issues"
    telemetry = Telemetry(
        "pkg", version="1.38.1.dev3+g8f2c1ab", contract=CONTRACT, issues_url=issues
    )
    session = telemetry.create_session()
    data = session.to_dict()
    assert data["environment"]["package_version"] == "1.38.1.dev"
    data["environment"]["package_version"] = "1.38.1.DEV3+g8f2c1ab"
    for one in (session, Session.from_dict(data)):
        leaving = [telemetry.preview(one).content.decode(), str(telemetry.preview(one))]
        leaving.append(str(sharing.ShareResult(one, issues_url=issues).issue_url))
        leaving.append(str(header(one, parse_endpoint("https://example.org/documents"))))
        for text in leaving:
            assert "1.38.1.dev" in text
            assert not re.search("dev3|8f2c1ab", text, re.IGNORECASE)


def test_an_edited_file_gets_nothing_past_the_contract(server: Loopback) -> None:
    data = session_of(make(server)).to_dict()
    data["labels"]["fit"]["invokes"][0]["context"] = {
        "steps": -1,
        "solver": "secret",
        "name": "secret",
    }
    data["labels"]["fit"]["invokes"][1]["context"] = {
        "error": {"type": "x", "frames": ["/home/secret"]}
    }
    loaded = Session.from_dict(data)
    assert [dict(invoke.context) for invoke in loaded.stats("fit").invokes][:2] == [{}, {}]


def test_forgetting_gives_the_receipt_of_the_collector() -> None:
    said = {"session": ID, "deleted_at": "2026-11-24T00:00:00Z", "documents": 5, "hash": "ab" * 32}
    body = json.dumps({"receipt": said}).encode()
    waiting = json.dumps({"request": {"session": ID, "state": "waiting"}}).encode()
    with loopback(
        answer(200, body=body),
        answer(200, body=waiting),
        DENIED,
        answer(404),
        answer(200, body=b"[]"),
    ) as server:
        telemetry = make(server)
        receipt = telemetry.forget(ID, "the key")
        assert receipt == sharing.Receipt(ID, "deleted", "2026-11-24T00:00:00Z", 5, "ab" * 32)
        assert "Receipt to quote: abab" in str(receipt)
        assert telemetry.forget(ID).state == "waiting"
        for told in ("refused .No such package", "deletes nothing by itself", "no receipt"):
            with pytest.raises(SharingError, match=told):
                telemetry.forget(ID, "the key")
    assert server.requests[0].endswith(json.dumps({"session": ID, "key": "the key"}).encode())
    with pytest.raises(SharingError, match="no endpoint"):
        make(None).forget(ID)


SHARING = """
import sys
for name in {missing!r}:
    sys.modules[name] = None
from plaintally import Telemetry
from plaintally.contract import Contract, Label
telemetry = Telemetry("pkg", endpoint={endpoint!r}, contract=Contract(labels={{"fit": Label()}}))
for _ in range(5):
    with telemetry.invoke("fit"):
        pass
telemetry.share()
"""


@pytest.mark.parametrize("missing", [(), ("tqdm",)], ids=["tqdm", "lines"])
def test_two_bars_are_shown_to_who_looks(
    server: Loopback, tmp_path: Path, missing: tuple[str, ...]
) -> None:
    code = "import threading\nstarted, start = [], threading.Thread.start\n"
    code += "threading.Thread.start = lambda self: (started.append(self), start(self))\n"
    code += (
        SHARING.format(missing=missing, endpoint=server.endpoint) + "print(len(started), 'threads')"
    )
    env = {"HOME": str(tmp_path), "TERM": "xterm-256color", "LANG": "C.UTF-8"}
    seen = see_at_terminal([sys.executable, "-W", "error", "-c", code], env=env, cwd=tmp_path)
    assert len(server.requests) == 2
    assert re.search(r"statistics.*2/2", seen)
    assert re.search(r"runs.*5/5", seen)
    assert "\x1b[34m" in seen  # blue
    assert "\x1b[32m" in seen  # green
    assert ("%|" in seen) is (not missing)  # a bar of tqdm's
    assert "Thank you. 1 session, statistics of 1 label, 5 runs" in seen
    assert "\n0 threads\n" in seen


def test_tqdm_is_loaded_only_by_share(server: Loopback, tmp_path: Path) -> None:
    shown = SHARING.format(missing=(), endpoint=server.endpoint)
    before = shown.rsplit("telemetry.share()", 1)[0]
    share = "telemetry.share()\n"
    told = "print('tqdm is loaded:', 'tqdm' in sys.modules)\n"
    env = {"HOME": str(tmp_path), "TERM": "xterm-256color", "LANG": "C.UTF-8"}
    command = [sys.executable, "-c", f"{before}telemetry.preview()\n{told}{share}{told}"]
    seen = see_at_terminal(command, env=env, cwd=tmp_path)
    assert re.findall(r"tqdm is loaded: (\w+)", seen) == ["False", "True"]


@pytest.mark.parametrize("missing", [(), ("tqdm",)], ids=["tqdm", "lines"])
def test_a_notebook_shows_two_bars_and_who_drives_one_none(
    server: Loopback, capsys: pytest.CaptureFixture[str], missing: tuple[str, ...]
) -> None:
    code = SHARING.format(missing=missing, endpoint=server.endpoint)
    notebook = new_notebook(cells=[new_code_cell(code)])  # type: ignore[no-untyped-call]
    NotebookClient(notebook, timeout=60).execute()
    texts = {"stdout": "", "stderr": ""}
    for output in notebook.cells[0].outputs:
        texts[output.get("name", "stdout")] += output.get("text", "")
    assert len(server.requests) == 2
    statistics, runs = texts["stderr"].strip().split("\n")
    assert "\x1b[34m" in statistics
    assert "2/2" in statistics
    assert "\x1b[32m" in runs
    assert "5/5" in runs
    assert texts["stdout"].startswith("Thank you.")
    assert "ipykernel" in sys.modules  # which makes no notebook of this process
    make(server).share()
    assert capsys.readouterr().err == ""


def test_two_hosts_in_one_process_keep_apart(server: Loopback) -> None:
    with loopback() as other_server:
        one = make(server, 2)
        other = Telemetry("other", endpoint=other_server.endpoint, contract=CONTRACT)
        with other.invoke("fit", session=other.create_session()):
            pass
        other.set_session(other.create_session())
        with other.invoke("fit"):
            pass
        one.share(show_progress=False)
        other.share(show_progress=False)
        assert session_of(one).stats("fit").total_invokes == 2
        assert session_of(other).stats("fit").total_invokes == 1
        assert b"/other" not in b"".join(server.requests)
        for mine, foreign in ((one, other_server), (other, server)):
            assert session_of(mine).id.encode() not in b"".join(foreign.requests)
        other.set_session(None)
        assert one.session is not None


def test_a_request_stays_below_four_megabytes(server: Loopback) -> None:
    telemetry = make(server, 0)
    for _ in range(600):
        with telemetry.invoke("fit") as invoke:
            invoke.add(model="\u20ac" * 10_000)  # 60,000 bytes as it is escaped
    preview = telemetry.preview(include={"source"})
    assert telemetry.share(show_progress=False, include={"source"}).complete
    sizes = [len(request.body) for request in preview.requests]
    assert 3_900_000 < max(sizes) < 4_000_000
    assert sum(len(writes(request)) for request in server.requests) == 602


def test_status_tells_what_was_logged_and_what_was_dropped(server: Loopback) -> None:
    telemetry = make(server, 2)
    with telemetry.invoke("fit") as invoke:
        invoke.add(steps=-1, unknown=1)
    said = str(telemetry.status())
    assert f"session          {session_of(telemetry).id}: fit 3\n" in said
    assert "dropped          steps of fit (1), unknown of fit (1)\n" in said


@pytest.mark.parametrize("wrong", [None, 3, b"x", "not-a-uuid", ""])
def test_what_is_no_id_is_not_asked_about(server: Loopback, wrong: object) -> None:
    with pytest.raises(SharingError, match="is no session ID"):
        make(server).forget(wrong)  # type: ignore[arg-type]
    assert server.requests == []


@pytest.mark.parametrize("wrong", ["x", [], {}, 3, Session("other")])
def test_what_is_no_session_of_the_package_is_not_shared(server: Loopback, wrong: Any) -> None:  # noqa: ANN401
    telemetry = make(server)
    for call in (telemetry.share, telemetry.preview, telemetry.set_session):
        with pytest.raises(ConfigurationError, match="must be a session of pkg, or None"):
            call(wrong)
    assert server.requests == []


def test_an_interruption_that_nobody_sees_carries_what_was_shared() -> None:
    with loopback(OK, answer(503, "Retry-After: 20")) as server:
        telemetry = make(server)

        def interrupt() -> None:
            server.wait_for(2)
            os.kill(os.getpid(), signal.SIGINT)

        thread = threading.Thread(target=interrupt)
        thread.start()
        with pytest.raises(KeyboardInterrupt) as caught:
            telemetry.share(show_progress=False)
        thread.join()
    assert "nothing failed, 3 documents were not sent" in caught.value.__notes__[0]


def share_file(path: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "plaintally", "share", str(path), *options]
    return subprocess.run(
        command,
        env={"HOME": str(path.parent)},
        cwd=path.parent,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_shares_a_file_from_a_machine_without_the_package(
    server: Loopback, tmp_path: Path
) -> None:
    """What it prints works where it was printed, and no module of the name in the file is
    imported."""
    telemetry = make(server)
    path = tmp_path / "session.json"
    session_of(telemetry).save(path)
    (tmp_path / "pkg.py").write_text("print('imported')")
    done = share_file(path)
    assert (done.returncode, "name one with --endpoint" in done.stderr) == (1, True)
    done = share_file(path, "--endpoint", server.endpoint)
    assert (done.returncode, done.stderr) == (0, "")
    assert b"".join(server.requests) == telemetry.preview().content
    assert f"--endpoint '{server.endpoint}'" in done.stdout
    assert "imported" not in done.stdout
    server.requests.clear()
    done = share_file(path, "--endpoint", server.endpoint, "--include", "source")
    assert done.returncode == 1
    assert "at a terminal" in done.stderr
    assert server.requests == []
    path.write_text(path.read_text().replace(session_of(telemetry).id, "../../x\\u001b[31m"))
    done = share_file(path, "--endpoint", server.endpoint)
    assert (done.returncode, "not a saved session: an id is a UUID" in done.stderr) == (1, True)


def test_a_summary_takes_a_number_of_rows(server: Loopback) -> None:
    session = session_of(make(server))
    for wrong in (None, 2.5, -1, "3", True):
        with pytest.raises(ConfigurationError, match="whole number, 0 or more"):
            session.summarize(n_last=wrong)  # type: ignore[arg-type]
    assert "ID" not in str(session.summarize(n_last=0))
    assert len(str(session.summarize(n_last=10**9)).splitlines()) < 25
