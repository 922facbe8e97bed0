import os, time, ONE

pid = os.fork()
if not pid:
    import TWO

    if not os.fork():
        time.sleep(0.5)  # until its ancestors have ended
        import THREE

        os._exit(0)
    os._exit(0)
os.waitpid(pid, 0)
import FOUR

os.execl(PYTHON, PYTHON, "-c", "import FIVE")
