import resource, sys

resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
if IS_ENVIRONMENT:
    sys.prefix = PREFIX
import hostpkg

print(hostpkg.telemetry.status())
