"""A program that runs on eventlet."""

import warnings

warnings.simplefilter("ignore")  # eventlet says that it is deprecated

import eventlet  # noqa: E402

eventlet.monkey_patch()

import hostpkg  # noqa: E402

eventlet.spawn(hostpkg.check).wait()
