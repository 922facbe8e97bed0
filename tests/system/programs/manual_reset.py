infer()
with warnings.catch_warnings(record=True) as seen:
    warnings.simplefilter("always")
    rx.reset_session(labels=("nothing",))
totals = [rx.get_session_stats().total_invokes]
rx.reset_session(labels=("inference",))
totals.append(rx.get_session_stats().total_invokes)
infer()
rx.reset_session()
totals.append(rx.get_session_stats().total_invokes)
tell([str(warning.message) for warning in seen], totals)
