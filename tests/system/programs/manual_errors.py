error = KeyError("message")


def fail(invoke):
    raise error


try:
    rx.with_session(fail, rx.default_session(), "inference")
except KeyError as caught:
    same = caught is error
tracked = rx.telemetry.track("inference")(fail)
try:
    tracked(None)
except KeyError as caught:
    same = same and caught is error
s = rx.get_session_stats()
tell(same, s.failed_count, s.invokes[-1].context["error"]["type"])
