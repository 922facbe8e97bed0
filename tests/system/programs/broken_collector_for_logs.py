import asyncio, os, sys, threading, time, warnings
from plaintally_server.cli import main
from plaintally_server.jobs import scheduler
from plaintally_server.exceptions import StartError


class Spoilt:
    def __del__(self):
        raise ValueError("canary2b7")


def fail(value="canary2b7"):
    raise ValueError(value)


async def keep(*_, **__):
    await asyncio.sleep(1)  # until it says that it listens
    warnings.warn("canary2b7")
    threading.Thread(target=fail).start()
    asyncio.get_running_loop().call_soon(fail, "canary2b7")
    asyncio.ensure_future(asyncio.to_thread(fail))
    Spoilt()
    await asyncio.sleep(0.5)
    import gc

    gc.collect()


scheduler.keep = keep
sys.argv = sys.argv[3:]
main.main()
