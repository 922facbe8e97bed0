"""Run a Celery worker with four processes, have it do eight tasks, and stop it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

os.environ["HOSTPKG_FOLDER"] = str(Path.cwd())
lazy = os.environ.pop("LAZY", None)
with Path("worker.log").open("wb") as log:
    worker = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "celery",
            "-A",
            "tasks",
            "worker",
            "--concurrency=4",
            "--pool=prefork",
            "--without-gossip",
            "--without-mingle",
            "--without-heartbeat",
            "--loglevel=WARNING",
        ],
        stdout=log,
        stderr=log,
        env={**os.environ, **({"LAZY": lazy} if lazy else {})},
    )
    os.environ["LAZY"] = "1"  # this process only asks
    from tasks import app

    try:
        results = [app.send_task("work") for _ in range(8)]
        answers = [result.get(timeout=30, interval=0.05) for result in results]
    finally:
        worker.send_signal(signal.SIGTERM)
        status = worker.wait(30)
if answers != ["done"] * 8 or status:
    sys.exit(f"{answers} {status}\n{Path('worker.log').read_text()}")
