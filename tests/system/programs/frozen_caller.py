from plaintally import Telemetry
from plaintally.controls import callers

telemetry = Telemetry("frozenpkg")
telemetry.disable_counter(persist=False)
print(callers.find(telemetry, None).name)
