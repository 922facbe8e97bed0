import time

time.time_ns = CLOCK
from plaintally import Telemetry

telemetry = Telemetry("pkg")
telemetry.count_import()
with telemetry.invoke("fit"):
    pass
stats = telemetry.session.stats("fit")
assert stats.success_count == 1 and stats.min_duration_ms >= 0
assert telemetry.session.created_at and telemetry.session.shift_us is not None
assert stats.invokes[0].execution_start
