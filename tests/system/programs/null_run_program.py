import os, sys
from plaintally import Contract, Telemetry
from plaintally.contract import ErrorType, Integer, Label


def make():
    label = Label({"steps": Integer(0, 9), "error": ErrorType()})
    telemetry = Telemetry("hostpkg", contract=Contract(labels={"fit": label}))
    telemetry.count_import()
    track = telemetry.track("fit", context=lambda *_: {"steps": 1 // 0})
    ran = []

    def work(wanted):
        ran.append(wanted)
        if isinstance(wanted, Exception):
            raise wanted
        return wanted

    async def work_later(wanted):
        return work(wanted)

    def work_slowly(wanted):
        yield 1
        return work(wanted)

    async def work_slowly_later(wanted):
        yield work(wanted)

    class Model:
        made = track(classmethod(lambda cls, wanted: work(wanted)))
        static = track(staticmethod(work))
        fit = track(lambda self, wanted: work(wanted))

    tracked = track(work)
    later = track(work_later)
    slowly = track(work_slowly)
    slowly_later = track(work_slowly_later)

    def send(awaitable):
        try:
            awaitable.__await__().send(None)
        except StopIteration as end:
            return end.value

    def exhaust(running):
        try:
            while True:
                next(running)
        except StopIteration as end:
            return end.value

    def in_block(wanted):
        with telemetry.invoke("fit") as run:
            run.add(steps=1)
            run.add(lambda: {"steps": 1 // 0})
            return work(wanted)

    async def in_async_block(wanted):
        async with telemetry.invoke("fit") as run:
            run.add(steps=1)
            return work(wanted)

    ways = {
        "plain": tracked,
        "coroutine": lambda wanted: send(later(wanted)),
        "generator": lambda wanted: exhaust(slowly(wanted)),
        "async generator": lambda wanted: send(slowly_later(wanted).__anext__()),
        "static": Model.static,
        "class": Model.made,
        "method": lambda wanted: Model().fit(wanted),
        "decorated now": lambda wanted: telemetry.track("fit")(work)(wanted),
        "block": in_block,
        "async block": lambda wanted: send(in_async_block(wanted)),
    }

    def check(write=os.write):
        telemetry.session
        telemetry.count_import()
        for name, way in ways.items():
            for wanted in (7, KeyError("of the host")):
                ran.clear()
                try:
                    came = way(wanted)
                except Exception as error:
                    came = error
                if came is not wanted or ran != [wanted]:
                    write(2, f"{name}: {came!r} instead of {wanted!r}, run {ran}\n".encode())
        write(1, b"checked")

    return telemetry, check, ways


telemetry, check, ways = make()
