"""glean-sdk: metrics and pings from their files, one event, one ping."""

import os
from pathlib import Path

from glean import Configuration, Glean, load_metrics, load_pings

HERE = Path(__file__).parent
metrics = load_metrics(HERE / "glean_metrics.yaml")
pings = load_pings(HERE / "glean_pings.yaml")
Glean.initialize(
    application_id="bench",
    application_version="1.0.0",
    upload_enabled=True,
    configuration=Configuration(server_endpoint=os.environ["BENCH_URL"]),
    data_dir=Path.home() / ".glean",
)
metrics.bench.imported.add()
pings.bench_import.submit()


def calls():
    """A counter of Glean's."""
    return {"counter": metrics.bench.imported.add}
