import sys, threading
from plaintally import Contract, Telemetry
from plaintally.controls import sessions
from plaintally.contract import Label

sys.setswitchinterval(1e-6)
for index in range(100):
    telemetry = Telemetry(f"pkg{index}", contract=Contract(labels={"fit": Label()}))
    barrier = threading.Barrier(4)
    logs = []

    def begin():
        barrier.wait()
        logs.append(telemetry.session)

    threads = [threading.Thread(target=begin) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(log) for log in logs}) == 1 and not sessions._begun
