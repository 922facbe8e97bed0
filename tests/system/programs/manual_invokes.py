with rx.telemetry.invoke("inference") as invoke:
    tell_later = invoke.status
try:
    infer(data=[])
except ValueError:
    pass
one, two = rx.get_session_stats().invokes
tell(
    tell_later,
    one.status,
    two.status,
    one.id != two.id,
    one.execution_start.tzname(),
    two.execution_end > two.execution_start,
    two.duration_ms > 0,
    two.context["error"]["type"],
)
