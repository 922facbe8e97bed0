infer()
infer(learn=True)
try:
    infer(data=[])
except ValueError:
    pass
s = rx.get_session_stats()
empty = rx.get_session_stats(label="other")
tell(
    s.total_invokes,
    s.success_count,
    s.failed_count,
    s.success_rate,
    sorted(s.context_keys),
    len(s.invokes),
    [one.duration_ms for one in s.invokes],
    s.min_duration_ms,
    s.max_duration_ms,
    s.total_duration_ms,
    empty.total_invokes,
    empty.success_rate,
)
