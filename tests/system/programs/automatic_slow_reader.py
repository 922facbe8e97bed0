signal.signal(signal.SIGPIPE, signal.SIG_DFL)
fit(0)
print(os.getpid(), flush=True)
sys.stdin.readline()
for index in range(20_000):
    fit(index)
sink = telemetry.session.sink
print(sink.sent, sink.dropped, flush=True)
sys.stdin.readline()
for index in range(2000):
    fit(index)
print("alive", flush=True)
