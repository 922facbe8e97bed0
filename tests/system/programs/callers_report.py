import hostpkg

telemetry = hostpkg.telemetry
status = telemetry.status()
SWITCHES = ("counter", "session_log", "automatic_sharing")
print(
    *(status.decisions[switch].allowed for switch in SWITCHES),
    status.facts.endpoint,
    telemetry.session and telemetry.session.capacity,
)
