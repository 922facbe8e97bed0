import sys

before = set(sys.modules)
import rxinfer_py

print(*sorted(set(sys.modules) - before - {"rxinfer_py", "rxinfer_py.usage"}))
with rxinfer_py.telemetry.invoke("inference"):
    pass
print("plaintally.session" in sys.modules)
