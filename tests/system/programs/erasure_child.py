import json, random, sys
from pathlib import Path
from made import session
from plaintally_server.store import deletion, erasure, rows
from plaintally_server.store.database import exclusively, open_for_writing
from erased import NOW


def tell(kind, ids):
    print(json.dumps([kind, ids]), flush=True)


erasure.STEP_ROWS = 7
chance = random.Random(int(sys.argv[2]))
kept = json.loads(sys.argv[3])
engine = open_for_writing(Path(sys.argv[1]), timeout_s=30, alone=True)
while True:
    what = chance.choice(["step", "step", "step", "step", "share", "delete"])
    if what == "step":
        erasure.step(engine)
    elif what == "share":
        writes = list(session(chance, NOW, invokes=chance.randrange(9)))
        ids = [str(write.name.document) for write in writes]
        tell("?", ids)
        with exclusively(engine) as connection:
            rows.write(connection, [[write] for write in writes])
        tell("+", ids)
        kept.append(ids)
    elif kept:
        ids = kept.pop(chance.randrange(len(kept)))
        tell("?", ids)
        with exclusively(engine) as connection:
            deletion.delete_tree(connection, ids[0], at=NOW, salt=b"")
        tell("-", ids)
