import itertools, json, selectors, socket, ssl, sys
from plaintally import Telemetry, sharing
from plaintally.controls import callers
from plaintally import _spawn
from plaintally.contract import Contract, Label
from plaintally._transport.retry import SHARING
from plaintally.exceptions import SharingError

FIND = callers.find
callers.find = lambda *_: callers.Caller("person", "a test", None)
SHARING.pauses_s = ()
telemetry = Telemetry("pkg", endpoint=sys.argv[1], contract=Contract(labels={"fit": Label()}))
with telemetry.invoke("fit"):
    pass
session = telemetry.session
