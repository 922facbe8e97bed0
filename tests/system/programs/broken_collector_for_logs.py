import asyncio, os, sys, threading, time, warnings
from plaintally_server.cli import main
from plaintally_server.jobs import scheduler
from plaintally_server.exceptions import StartError

CANARY = "canary" + str(2) + "b7"  # in pieces, since a traceback shows lines of source


class Spoilt:
    def __del__(self):
        raise ValueError(CANARY)


def fail(value=CANARY):
    raise ValueError(value)


async def keep(*_, **__):
    await asyncio.sleep(1)  # until it says that it listens
    warnings.warn(CANARY)
    threading.Thread(target=fail).start()
    asyncio.get_running_loop().call_soon(fail, CANARY)
    asyncio.ensure_future(asyncio.to_thread(fail))
    Spoilt()
    await asyncio.sleep(0.5)
    import gc

    gc.collect()


scheduler.keep = keep
sys.argv = sys.argv[3:]
main.main()
