"""The clients that run on Node.js: @google-cloud/firestore over REST, and
firebase/firestore/lite."""

import os
import subprocess
from pathlib import Path

import pytest

from collectors import TOKEN, Collector

FOLDER = Path(__file__).parent
LEFT_OUT = ("FIRESTORE_EMULATOR_HOST", "GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLOUD_PROJECT")


@pytest.mark.node
@pytest.mark.parametrize("script", ["node_sdk.mjs", "lite.mjs"])
def test_a_client_on_node(open_collector: Collector, script: str) -> None:
    done = subprocess.run(
        ["node", str(FOLDER / script), str(open_collector.port), TOKEN],
        env={name: value for name, value in os.environ.items() if name not in LEFT_OUT},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr
    assert open_collector.store.total("rxinfer") == 1
