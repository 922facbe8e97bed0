import hostpkg
import sys, types

module = sys.modules["\x1b[2J\n"] = types.ModuleType("\x1b[2J\n")
module.telemetry = hostpkg.telemetry
exec("decision = telemetry.enable_counter()", vars(module))
print(hostpkg.telemetry.status(), module.decision.note)
