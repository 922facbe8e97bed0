class Unreadable(Exception):
    def __str__(self):
        raise RuntimeError("no text")


class UnreadableOSError(OSError):
    def __str__(self):
        raise RuntimeError("no text")


KINDS = [
    RuntimeError,
    AttributeError,
    NotImplementedError,
    UnicodeError,
    MemoryError,
    RecursionError,
    OverflowError,
    StopIteration,
    ssl.SSLError,
    ssl.CertificateError,
    BlockingIOError,
    BrokenPipeError,
    Unreadable,
    UnreadableOSError,
    lambda text: ExceptionGroup(text, [ValueError(text)]),
]
METHODS = {
    socket: ("socket", "getaddrinfo"),
    socket.socket: ("setblocking", "connect", "getsockopt", "settimeout", "close"),
    ssl: ("create_default_context", "get_default_verify_paths"),
    ssl.SSLContext: ("cert_store_stats", "wrap_socket"),
    ssl.SSLSocket: ("sendall", "recv", "close"),
    selectors.DefaultSelector: ("__init__", "register", "select", "unregister", "get_map", "close"),
    json: ("loads",),
}
PLACES = [(owner, name) for owner, names in METHODS.items() for name in names]
wrong = []
failed = 0
for (owner, name), kind, good_calls in itertools.product(PLACES, KINDS, (0, 1)):
    original = getattr(owner, name)
    own = name in vars(owner)
    calls = itertools.count()

    def failing(*arguments, **keywords):
        if next(calls) == good_calls:
            raise kind("what it said")
        return original(*arguments, **keywords)

    setattr(owner, name, failing)
    where = f"{owner.__name__}.{name} {getattr(kind, '__name__', 'ExceptionGroup')}"
    try:
        result = telemetry.share(show_progress=False)
        failed += not result.complete
        told = (result.session_id, result.deletion_key) == (session.id, session.deletion_key)
        if not told or not str(result) or not (result.complete or result.reason.isprintable()):
            wrong.append(f"{where}: {result!r}")
    except Exception as error:
        wrong.append(f"{where}: share raised {type(error).__name__}")
    calls = itertools.count()
    try:
        telemetry.forget(session.id, "the key")
    except SharingError:
        pass
    except Exception as error:
        wrong.append(f"{where}: forget raised {type(error).__name__}")
    setattr(owner, name, original) if own else delattr(owner, name)
print(json.dumps([wrong, failed > 300, telemetry.share(show_progress=False).complete]))
