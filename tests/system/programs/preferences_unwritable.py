import os

os.environ["XDG_CONFIG_HOME"] = "/proc/nowhere"
import hostpkg, plaintally.exceptions

telemetry = hostpkg.telemetry
try:
    telemetry.disable_counter()
except plaintally.exceptions.PreferencesError as error:
    print(error)
print(telemetry.status().decisions["counter"].rule)
