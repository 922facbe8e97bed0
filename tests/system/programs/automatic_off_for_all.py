old = telemetry.session
given = telemetry.create_session()
telemetry.set_session(given)
fit(1)
assert old.sink is not None and given.sink is not None
for off in (telemetry.disable_automatic_sharing, telemetry.disable_session_logging):
    off(False) if off == telemetry.disable_automatic_sharing else off()
    for session in (old, given):
        with telemetry.invoke("fit", session=session) as invoke:
            invoke.add(steps=2)
        assert session.sink is None
    telemetry.enable_session_logging()
    telemetry.enable_automatic_sharing(persist=False)
telemetry.set_endpoint(None)
fit(2)
assert telemetry.session.sink is None
