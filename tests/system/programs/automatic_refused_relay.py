import resource

telemetry.enable_automatic_sharing(persist=False)
with telemetry.invoke("other"):
    pass
resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")), 100))
fit(1)
resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))
print(str(telemetry.status()).count("0 invokes; 1 did not fit; no file descriptor is left"))
