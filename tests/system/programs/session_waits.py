from plaintally import Contract, Telemetry
from plaintally.contract import Label

telemetry = Telemetry("pkg", contract=Contract(labels={"fit": Label()}))


class Never:
    def __await__(self):
        yield


@telemetry.track("fit")
async def count():
    await Never()
    yield 1


waiting = count().__anext__()
waiting.send(None)
del waiting
