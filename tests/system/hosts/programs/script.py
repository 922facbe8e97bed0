"""A script that imports a package, uses it and ends at once; `main` is what the bundlers start."""

import os

import plaintally


def main() -> None:
    import hostpkg

    assert os.environ.get("HOSTPKG_WITHIN", "") in (plaintally.__file__ or "")
    hostpkg.check()


if __name__ == "__main__":
    main()
