with warnings.catch_warnings(record=True) as seen:
    warnings.simplefilter("always")
    one = rx.share_session_data()
    rx.set_default_session(None)
    two = rx.share_session_data()
said = [str(warning.message) for warning in seen]
tell(said, one.reason, two.reason, one.shared, two.shared)
