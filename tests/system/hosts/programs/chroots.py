"""Leave the file system in which the SDK is, then use the package."""

import os
import tempfile

import hostpkg

os.chroot(tempfile.mkdtemp(dir="."))
hostpkg.check()
