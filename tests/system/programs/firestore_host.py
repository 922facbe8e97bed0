from plaintally.contract import Contract, Integer, Label
from plaintally import Telemetry

telemetry = Telemetry(
    "hostpkg",
    endpoint=ENDPOINT,
    contract=Contract(labels={"inference": Label({"iterations": Integer(0, 1000)})}),
)
telemetry.count_import()
telemetry.enable_automatic_sharing(persist=False)
for index in range(20):
    with telemetry.invoke("inference") as invoke:
        invoke.add(iterations=index)
print(telemetry.session.id)
