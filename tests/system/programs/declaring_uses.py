import copy, pickle, sys

IMPORTED
assert ("plaintally.contract" in sys.modules) is IS_LOADED


def annotated(contract: Contract | None, label: None | Label) -> Integer | Choice: ...


print(CONTRACT.hash(), list(CONTRACT.labels), CONTRACT.counter, CONTRACT.purpose)
print(repr(CONTRACT), Contract.from_dict(CONTRACT.to_dict()).hash())
print(
    pickle.loads(pickle.dumps(CONTRACT)).hash(),
    copy.deepcopy(CONTRACT).hash(),
    pickle.loads(pickle.dumps(Label)),
)
print(
    repr(Integer(2, 3)),
    Integer(2, maximum=3).maximum,
    hasattr(CONTRACT, "__wrapped__"),
    hasattr(CONTRACT, "x"),
)
telemetry = Telemetry("hostpkg", version="1.0", contract=CONTRACT)
with telemetry.invoke("fit") as run:
    run.add(
        solver="newton",
        steps=3,
        verbose=True,
        tolerance=0.5,
        plugin="a",
        data={"y": [1.0]},
        formula="y",
        x=1,
    )
print(run.context, run.dropped, telemetry.fields, telemetry.contract is CONTRACT)
print(pickle.loads(pickle.dumps(telemetry)).contract.hash())
from plaintally.session import Session

session = Session("hostpkg", contract=CONTRACT)
with session.invoke("fit") as run:
    run.add(steps=101)
print(run.dropped, pickle.loads(pickle.dumps(session)).contract.hash())
