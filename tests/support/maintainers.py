"""Maintainers with their tokens: as programs, and in a browser."""

import re
from collections.abc import Mapping
from http.cookies import SimpleCookie
from pathlib import Path
from urllib.parse import urlencode

from collectors import Answer, Collector, run_server
from plaintally_server.auth.permissions import PREFIX
from plaintally_server.store.database import Database


def make_token(folder: Path, name: str, *options: str, database: Database = "a.sqlite3") -> str:
    made = run_server(folder, "token", "create", name, *options, "--database", str(database))
    assert made.returncode == 0, made.stderr
    assert made.stdout.startswith(PREFIX)
    return made.stdout.strip()


def ask(collector: Collector, token: str, method: str, path: str, body: object = None) -> Answer:
    return collector.request(method, path, body, headers={"Authorization": f"Bearer {token}"})


class Browser:
    """Keeps cookies, and sends forms as a browser does."""

    def __init__(self, collector: Collector, **headers: str) -> None:
        self.collector = collector
        self.headers = headers
        self.cookie = ""

    def get(self, path: str) -> Answer:
        return self.collector.request("GET", path, headers={"Cookie": self.cookie, **self.headers})

    def send(self, path: str, values: Mapping[str, str], **headers: str) -> Answer:
        kind = {
            "Content-Type": "application/x-www-form-urlencoded",
            "Sec-Fetch-Site": "same-origin",
        }
        sent = {**kind, "Cookie": self.cookie, **self.headers, **headers}
        answer = self.collector.request("POST", path, urlencode(values).encode(), headers=sent)
        for morsel in SimpleCookie(answer.headers.get("set-cookie", "")).values():
            self.cookie = f"{morsel.key}={morsel.value}"
        return answer

    def form_key(self) -> str:
        found = re.search(
            r'name="form_key" value="([0-9a-f]{64})"', self.get("/maintain").body.decode()
        )
        assert found
        return found[1]
