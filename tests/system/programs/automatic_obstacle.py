decision = telemetry.enable_automatic_sharing(persist=False)
fit(1)
assert not decision.allowed and telemetry.session.sink is None
print(decision.note)
for line in str(telemetry.status()).splitlines():
    if "automatic sharing: " in line or "import counter: OFF" in line:
        print(line)
