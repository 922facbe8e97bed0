from plaintally._transport import http, retry

try:
    http.Client(retry.ONCE, in_thread=False).exchange(("http", "a.test", 80, "/x"), b"", limit=0)
except OSError:
    pass
