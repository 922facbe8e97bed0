"""Use a package in the workers of multiprocessing, started in each of its ways."""

import multiprocessing

import hostpkg

if __name__ == "__main__":
    hostpkg.check()
    for method in multiprocessing.get_all_start_methods():
        with multiprocessing.get_context(method).Pool(2) as pool:
            pool.apply(hostpkg.check)
