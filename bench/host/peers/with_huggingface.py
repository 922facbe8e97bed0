"""huggingface_hub: its telemetry for libraries that build on it."""

from huggingface_hub.utils import send_telemetry

send_telemetry("bench_import", library_name="bench", library_version="1.0.0")


def handle(error):
    """Tell another topic."""
    send_telemetry("bench_import/error", library_name="bench", library_version="1.0.0")
