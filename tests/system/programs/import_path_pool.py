import POOLS as pools


def work(number):
    import hostpkg

    return number


if __name__ == "__main__":
    with pools.get_context(METHOD).Pool(3) as pool:
        assert pool.map(work, range(6)) == list(range(6))
    import hostpkg
