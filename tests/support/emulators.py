"""Firestore emulators in processes of their own: Google's, where the machine has it, and one from
npm.

Both are reached by Google's own client; Google's also by REST, with rules in force for whoever has
no token.
"""

import http.client
import json
import os
import shutil
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud.firestore import Client

from collectors import Answer
from hosts import ROOT as REPOSITORY
from plaintally_server.firestore.values import from_document
from ports import free_port
from shared import Document
from waiting import PATIENCE_S

JAR = Path(
    "/usr/lib/google-cloud-sdk/platform/cloud-firestore-emulator/cloud-firestore-emulator.jar"
)
NPM = REPOSITORY / "tests/firestore-emulator"
RULES = REPOSITORY / "deploy/firestore.rules"
PACKAGES = "['mypackage']"
"""How the packages stand in the rules."""
has_google = JAR.exists() and shutil.which("java") is not None
needs_google = pytest.mark.google_emulator


@dataclass(frozen=True)
class Emulator:
    """An emulator, and a project in it that nobody else uses."""

    kind: str
    port: int
    project: str = field(default_factory=lambda: f"p-{uuid.uuid4().hex[:12]}")

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def env(self) -> dict[str, str]:
        return {"FIRESTORE_EMULATOR_HOST": self.host, "PLAINTALLY_SERVER_PROJECT": self.project}

    @property
    def root(self) -> str:
        return f"/v1/projects/{self.project}/databases/(default)/documents"

    @property
    def endpoint(self) -> str:
        return f"http://{self.host}{self.root}/"

    @contextmanager
    def client(self) -> Iterator[Client]:
        """Google's client, as the project's owner."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("FIRESTORE_EMULATOR_HOST", self.host)
            client = Client(project=self.project, credentials=AnonymousCredentials())  # type: ignore[no-untyped-call]
            try:
                yield client
            finally:
                client.close()  # type: ignore[no-untyped-call]

    def put(self, documents: dict[str, Document]) -> None:
        """Write documents, by collection/id, as the project's owner."""
        with self.client() as client:
            names = list(documents)
            for start in range(0, len(names), 400):
                batch = client.batch()
                for name in names[start : start + 400]:
                    batch.set(client.document(name), from_document(documents[name]))
                batch.commit()

    def ids(self, collection: str) -> set[str]:
        """The ids of all documents of a collection."""
        with self.client() as client:
            return {snapshot.id for snapshot in client.collection(collection).get()}

    def request(
        self, method: str, path: str, body: object = None, *, owner: bool = False
    ) -> Answer:
        """A REST request of somebody who has no token, or of the owner; `path` stands below the
        documents."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            headers = {"Authorization": "Bearer owner"} if owner else {}
            connection.request(
                method, self.root + path, None if body is None else json.dumps(body), headers
            )
            response = connection.getresponse()
            return Answer(response.status, response.read(), dict(response.getheaders()))
        finally:
            connection.close()


@contextmanager
def run_emulator(
    kind: str, folder: Path, packages: list[str], *, clock: Path | None = None
) -> Iterator[Emulator]:
    """An emulator; Google's has the rules that are shipped in force, for these packages.

    The clock of the one from npm is ahead by the milliseconds that stand in the file `clock`.
    """
    with (folder / f"{kind}.log").open("w+") as log:
        command, port = (
            _google(folder, packages) if kind == "google" else (["node", str(NPM / "serve.cjs")], 0)
        )
        env = _environment()
        if clock is not None:
            env |= {"NODE_OPTIONS": f"--require {NPM / 'clock.cjs'}", "TEST_CLOCK": str(clock)}
        process = subprocess.Popen(
            command, stdout=log, stderr=subprocess.STDOUT, cwd=folder, env=env
        )
        try:
            said = _wait(process, Path(log.name), "Dev App Server is now running" if port else "\n")
            yield Emulator(kind, port or int(said.split()[0]))
        finally:
            process.kill()
            process.wait()


def _google(folder: Path, packages: list[str]) -> tuple[list[str], int]:
    rules = folder / "firestore.rules"
    rules.write_text(RULES.read_text().replace(PACKAGES, str(packages)))
    port = free_port()
    main = "com.google.cloud.datastore.emulator.firestore.CloudFirestore"
    java = ["java", "-XX:TieredStopAtLevel=1", "-Xmx512m", "-cp", str(JAR), main]
    return [*java, "--host", "127.0.0.1", "--port", str(port), "--rules", str(rules)], port


def _wait(process: subprocess.Popen[Any], log: Path, sign: str) -> str:
    deadline = time.monotonic() + PATIENCE_S
    while sign not in (said := log.read_text()):
        if process.poll() is not None or time.monotonic() > deadline:
            pytest.fail(f"the emulator does not start: {said}")
        time.sleep(0.1)
    return said


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
