import hostpkg

telemetry = hostpkg.telemetry


@telemetry.track("fit")
def fit():
    return 3


with telemetry.invoke("fit") as run:
    run.add(steps=3)
print(fit(), type(run).__name__, telemetry.session)
print(telemetry.status())
telemetry.preview()
