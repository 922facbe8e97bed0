"""A program that runs on gevent."""

from gevent import monkey

monkey.patch_all()

import gevent  # noqa: E402
import hostpkg  # noqa: E402

gevent.joinall([gevent.spawn(hostpkg.check)], raise_error=True)
assert gevent.get_hub().join(timeout=20) is True
