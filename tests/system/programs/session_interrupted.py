import signal, sys
from plaintally import Contract, Telemetry
from plaintally.contract import Label

telemetry = Telemetry("pkg", contract=Contract(labels={"fit": Label()}))
raised = []


def interrupt(event, arguments):
    if event == "open" and str(arguments[0]).endswith("preferences.toml") and not raised:
        raised.append(True)
        signal.raise_signal(signal.SIGINT)


def handle(*_):
    with telemetry.invoke("fit"):
        pass


signal.signal(signal.SIGINT, handle)
sys.addaudithook(interrupt)
with telemetry.invoke("fit"):
    pass
assert raised and telemetry.session.stats("fit").total_invokes == 2
