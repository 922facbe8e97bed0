import resource

most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (1200, most))
files = [os.dup(0) for _ in range(1100)]
telemetry.enable_automatic_sharing(persist=False)
fit(1)
