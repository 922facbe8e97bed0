import json, time
from loopback import loopback
from plaintally import Telemetry
from plaintally.controls import callers
from plaintally.contract import Contract, Label

callers.find = lambda *_: callers.Caller("person", "a test", None)
with loopback(address="10.9.0.1") as server:
    telemetry = Telemetry(
        "pkg",
        endpoint=f"http://{HOST}:{server.port}/v1/projects/pkg/databases/(default)/documents",
        allow_http=True,
        contract=Contract(labels={"fit": Label()}),
    )
    with telemetry.invoke("fit"):
        pass
    began = time.monotonic()
    result = telemetry.share(show_progress=False)
    print(json.dumps([result.complete, result.reason, time.monotonic() - began]))
