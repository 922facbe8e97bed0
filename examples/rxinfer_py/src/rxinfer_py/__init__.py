"""A small host package that embeds plaintally the way RxInfer.jl embeds its own telemetry.

The four functions bear the names of the manual of RxInfer.jl, without the exclamation marks. The counter listens to
LOG_USING_RXINFER and RXINFER_TELEMETRY.
"""

from plaintally import Telemetry

__all__ = [
    "disable_rxinfer_using_telemetry",
    "enable_rxinfer_using_telemetry",
    "log_using_rxinfer",
    "set_telemetry_endpoint",
    "telemetry",
]
__version__ = "0.1.0"

# A package of its own would name its collector here. The example has none, so it counts nothing until its user sets
# an endpoint, as the demo does.
telemetry = Telemetry("rxinfer", version=__version__, endpoint=None)

log_using_rxinfer = telemetry.count_import
disable_rxinfer_using_telemetry = telemetry.disable_counter
enable_rxinfer_using_telemetry = telemetry.enable_counter
set_telemetry_endpoint = telemetry.set_endpoint

log_using_rxinfer()
