"""A Celery application; LAZY makes its tasks import the package instead of the application."""

import os
from pathlib import Path

from celery import Celery

folder = Path(os.environ["HOSTPKG_FOLDER"])
for name in ("in", "results"):
    (folder / name).mkdir(exist_ok=True)
app = Celery("tasks", broker="filesystem://", backend=f"file://{folder / 'results'}")
app.conf.broker_transport_options = {
    "data_folder_in": str(folder / "in"),
    "data_folder_out": str(folder / "in"),
    "control_folder": str(folder / "in"),
    "polling_interval": 0.05,
}

if "LAZY" not in os.environ:
    import hostpkg


@app.task(name="work")
def work() -> str:
    import hostpkg

    hostpkg.check()
    return "done"
