import base64, pickle, sys

handle, log = pickle.loads(base64.b64decode(PICKLED))
assert (handle.package, handle.module) == ("pkg", MODULE)
assert handle.contract.labels.keys() == {"fit"}
assert log.id != ID and log.stats("fit").total_invokes == 0
with handle.invoke("fit"), log.invoke("fit") as invoke:
    invoke.add(steps=1)
assert [one.stats("fit").total_invokes for one in (handle.session, log)] == [1, 1]
assert dict(log.stats("fit").invokes[0].context) == {"steps": 1}
assert pickle.loads(pickle.dumps(handle)) is handle
