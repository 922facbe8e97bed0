"""Use a package in three sub-interpreters, one after the other, as mod_wsgi does."""

import sys

if sys.version_info >= (3, 13):
    import _interpreters as interpreters
else:
    import _xxsubinterpreters as interpreters

options = {} if sys.version_info >= (3, 12) else {"isolated": False}
for _ in range(3):
    made = interpreters.create(**options)
    failure = interpreters.run_string(made, "import hostpkg; hostpkg.check()")
    assert not failure, failure
    interpreters.destroy(made)
