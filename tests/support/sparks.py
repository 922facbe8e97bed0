"""A standalone cluster of Apache Spark: a master and two workers, in processes of their own on
loopback."""

import os
import re
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pyspark

HOME = Path(pyspark.__file__).parent
DEADLINE_S = 120
ENVIRONMENT: Mapping[str, str] = {
    "SPARK_HOME": str(HOME),
    "SPARK_LOCAL_IP": "127.0.0.1",
    "SPARK_DAEMON_MEMORY": "256m",
    "JAVA_TOOL_OPTIONS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",  # they live for seconds
    "PYSPARK_SUBMIT_ARGS": "--driver-memory 512m --conf spark.executor.memory=512m "
    "--conf spark.cores.max=2"
    " --conf spark.sql.shuffle.partitions=2 --conf spark.ui.showConsoleProgress=false "
    "pyspark-shell",
}
"""What the processes of the cluster, and whoever gives it work, are started with."""


@contextmanager
def run_cluster(folder: Path) -> Iterator[str]:
    """The URL of a cluster, which ends with the block."""
    with ExitStack() as running:
        log = running.enter_context(_run(folder, "master.Master"))
        url = _wait_for(log, r"Starting Spark master at (spark://127\.0\.0\.1:\d+)", 1)
        for number in (1, 2):
            options = (
                "--cores",
                "1",
                "--memory",
                "600m",
                "--work-dir",
                str(folder / f"work{number}"),
                url,
            )
            running.enter_context(_run(folder, "worker.Worker", *options))
        _wait_for(log, r"Registering worker ", 2)
        yield url


@contextmanager
def _run(folder: Path, daemon: str, *options: str) -> Iterator[Path]:
    """A process of Spark's and its log; it is told to end, and takes its executors along."""
    log = folder / f"{daemon}-{len(list(folder.iterdir()))}.log"
    command = [str(HOME / "bin/spark-class"), f"org.apache.spark.deploy.{daemon}"]
    command += ["--host", "127.0.0.1", "--port", "0", "--webui-port", "0", *options]
    with (
        log.open("wb") as output,
        subprocess.Popen(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env={**os.environ, **ENVIRONMENT},
        ) as process,
    ):
        try:
            yield log
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


def _wait_for(log: Path, pattern: str, times: int) -> str:
    """What the log says when it has said so this many times."""
    deadline = time.monotonic() + DEADLINE_S
    while len(found := re.findall(pattern, log.read_text())) < times:
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)
    return str(found[-1])
