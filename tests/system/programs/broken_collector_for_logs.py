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


def wait_until_it_listens():
    while not os.path.exists("listening"):  # which the test makes then
        time.sleep(0.01)


async def keep(*_, **__):
    await asyncio.to_thread(wait_until_it_listens)
    warnings.warn(CANARY)
    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()
    asyncio.get_running_loop().call_soon(fail, CANARY)
    task = asyncio.ensure_future(asyncio.to_thread(fail))
    Spoilt()
    await asyncio.wait([task])
    del task
    import gc

    gc.collect()


scheduler.keep = keep
sys.argv = sys.argv[3:]
main.main()
