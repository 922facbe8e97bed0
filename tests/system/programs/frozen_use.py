import decimal, fractions, json
from plaintally import Contract, Telemetry
from plaintally.contract import Description, Label

label = Label(context={"a": Description(), "b": Description(), "c": Description()})
telemetry = Telemetry("frozenpkg", contract=Contract(labels={"fit": label}))


def fail():
    raise json.JSONDecodeError("no", "", 0)


with telemetry.invoke("fit") as run:
    run.add(fail, a=decimal.Decimal(1), b=fractions.Fraction(1), c=[1.0])
print(
    run.context["a"]["type"],
    run.context["b"]["type"],
    run.context["c"]["type"],
    *run.dropped.values(),
)
telemetry.enable_counter(persist=False)
telemetry.disable_counter(persist=False)
print(telemetry.status().decisions["counter"].rule)
