"""The patterns of `Name`: which are allowed, that they match what `re` matches, and that no text
makes them slow."""

import subprocess
import sys


def test_matching_loads_no_regular_expressions() -> None:
    code = (
        "import sys; before = set(sys.modules); from plaintally.contract import Name; "
        "assert Name('[a-z]+(_v[0-9])?').take('adam_v2') == 'adam_v2'; print(('re' in sys.modules) "
        "- ('re' in before))"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}; {code}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "0\n"
