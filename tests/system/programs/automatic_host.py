import os, signal, sys, time
from plaintally import Telemetry
from plaintally.contract import Contract, Integer, Label, Source

contract = Contract(labels={"fit": Label({"steps": Integer(0, 10**6), "model": Source()})})
telemetry = Telemetry("hostpkg", endpoint=os.environ["ENDPOINT"], contract=contract)


def fit(steps):
    with telemetry.invoke("fit") as invoke:
        invoke.add(steps=steps, model="the secret source")
