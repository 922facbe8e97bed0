from gevent import monkey

wait = __import__("time").sleep
monkey.patch_all()
import hostpkg, gevent

time.sleep = wait  # which lets no greenlet run
assert left_behind() == (0, 0)
assert gevent.wait(timeout=20) is True
assert gevent.get_hub().join(timeout=20) is True
