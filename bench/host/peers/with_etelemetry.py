"""etelemetry: ask whether there is a newer version."""

import os

import etelemetry.client

etelemetry.client.ET_PROJECTS = os.environ["BENCH_URL"] + "/et/projects/{repo}"
etelemetry.check_available_version("bench/bench_import", "1.0.0")
