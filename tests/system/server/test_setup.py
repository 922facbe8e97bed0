"""`init`: a folder to start from, in which everything is explained and nothing is lost."""

import re
import stat
import sys
import tomllib
from pathlib import Path

import pytest

from collectors import TOKEN, Collector, run_collector, run_server
from plaintally_server.cli.serve import serve

pytestmark = pytest.mark.once

SERVE = [option for option in serve.params if option.name != "config"]


def test_a_folder_is_all_that_a_collector_needs(tmp_path: Path) -> None:
    done = run_server(
        tmp_path, "init", "new", "--package", "rxinfer", "--package", "b", "--port", "0"
    )
    assert (done.returncode, done.stderr) == (0, "")
    config = tmp_path / "new/plaintally-server.toml"
    token_file = tmp_path / "new/token"
    written = tomllib.loads(config.read_text())
    database = tmp_path / "new/plaintally.sqlite3"
    assert written == {
        "packages": ["rxinfer", "b"],
        "database": str(database),
        "port": 0,
        "token_file": str(token_file),
    }
    token = token_file.read_text().strip()
    assert len(token) >= 43
    assert token not in done.stdout + config.read_text()
    if sys.platform != "win32":
        assert stat.S_IMODE(token_file.stat().st_mode) == 0o600

    with run_collector(database, "--config", str(config), packages=(), token=None) as collector:
        assert collector.post().status == 200
        assert _read(collector, token) == 501
        assert _read(collector, f"{token}x") == 403


def test_the_file_shows_every_setting_with_its_default(tmp_path: Path) -> None:
    assert run_server(tmp_path, "init").returncode == 0
    text = (tmp_path / "plaintally-server.toml").read_text()
    every = tomllib.loads(re.sub(r"^# (?=\w+ = )", "", text, flags=re.MULTILINE))
    assert every.keys() == {option.name for option in SERVE}
    assert every["port"] == 8080
    (tmp_path / "all.toml").write_text(re.sub(r"^# (?=\w+ = )", "", text, flags=re.MULTILINE))
    done = run_server(tmp_path, "doctor", "--config", "all.toml", "--port", "1", "--package", "a")
    assert done.stderr == ""
    assert "name a package or add a contract" not in done.stdout
    assert "name what to count" in run_server(tmp_path, "init", "other").stdout


@pytest.mark.parametrize(
    "database", ["postgresql://u:canary@db/x", "postgresql://u@db/x?password=canary"]
)
def test_no_secret_stands_on_a_command_line(tmp_path: Path, database: str) -> None:
    """Neither a password nor the token: every user of a machine can list its command lines."""
    for command in (
        ["init", "--package", "a", "--database"],
        ["migrate", "--database"],
        ["copy", "--to", "x", "--from"],
    ):
        done = run_server(tmp_path, *command, database)
        assert (done.returncode, done.stdout) == (2, "")
        assert "The address holds a password" in " ".join(done.stderr.split())
        assert "canary" not in done.stderr
    assert not [*tmp_path.iterdir()]
    done = run_server(
        tmp_path,
        "token",
        "list",
        env={"PLAINTALLY_SERVER_DATABASE": "postgresql://u:canary@127.0.0.1:1/x"},
    )
    assert "cannot open the database postgresql://u@127.0.0.1:1/x" in done.stderr
    for name in ("serve", "doctor", "init"):
        done = run_server(tmp_path, name, "--package", "a", "--token", TOKEN)
        assert (done.returncode, "No such option '--token'" in done.stderr) == (2, True)


def test_nothing_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("mine")
    done = run_server(tmp_path, "init", "--package", "a")
    assert done.returncode == 1
    assert f"{tmp_path / 'token'} is there already" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["token"]
    assert (tmp_path / "token").read_text() == "mine"


def test_a_path_is_found_from_everywhere_and_a_mistake_writes_nothing(tmp_path: Path) -> None:
    assert run_server(tmp_path, "init", "a", "--contract", "mine.json").returncode == 0
    written = tomllib.loads((tmp_path / "a/plaintally-server.toml").read_text())
    assert written["contracts"] == [str(tmp_path / "mine.json")]
    assert run_server(tmp_path, "init", "b", "--port", "70000").returncode == 2
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read (No such file"),
        (b"\n", "is empty"),
        (b"\xff", "it is no text"),
        (b"a" * 31, "has 31 characters"),
    ],
)
def test_a_token_file_that_cannot_be_used(
    tmp_path: Path, content: bytes | None, message: str
) -> None:
    if content is not None:
        (tmp_path / "token").write_bytes(content)
    done = run_server(tmp_path, "serve", "--package", "a", "--token-file", "token")
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def _read(collector: Collector, token: str) -> int:
    path = "/v1/projects/p/databases/(default)/documents/using_rxinfer/x"
    return collector.request("GET", path, headers={"Authorization": f"Bearer {token}"}).status
