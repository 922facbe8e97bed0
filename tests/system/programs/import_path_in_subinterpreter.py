try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
inside = """
from plaintally import Telemetry
telemetry = Telemetry("pkg")
with telemetry.invoke("fit"): pass
assert telemetry.session.stats("fit").total_invokes == 1
print(telemetry.session.id)
"""
exec(inside)
created = interpreters.create()
failed = interpreters.run_string(created, inside)
assert not failed, failed
interpreters.destroy(created)
