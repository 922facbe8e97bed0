import sys
from plaintally import Telemetry

print("before", flush=True)
Telemetry("savedpkg").session.save(sys.argv[1])
print("after", flush=True)
