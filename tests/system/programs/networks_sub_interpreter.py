from plaintally import Contract, Label, Telemetry
from plaintally._transport.retry import SHARING

SHARING.try_s = 0.5
SHARING.pauses_s = ()
contract = Contract(labels={"fit": Label()})
telemetry = Telemetry("pkg", endpoint="https://collector.example/v1", contract=contract)
with telemetry.invoke("fit"):
    pass
print(telemetry.share(show_progress=False).complete, flush=True)
