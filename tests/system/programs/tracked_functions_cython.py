async def fail(wait):
    await wait
    raise KeyError


def generator():
    yield 1


async def later():
    yield 1


def plain():
    return 3
