"""access-py-telemetry: a registered function, called once."""

import contextlib
import io
import os
import warnings

from access_py_telemetry.api import ApiHandler
from access_py_telemetry.decorators import register_func

with warnings.catch_warnings(action="ignore"):
    ApiHandler().server_url = os.environ["BENCH_URL"] + "/"


@register_func("intake_catalog")
def bench_import():
    """What is counted."""


with contextlib.redirect_stdout(io.StringIO()):
    bench_import()
watch = register_func("intake_catalog")
