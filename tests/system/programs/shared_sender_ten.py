import sys, time

started = []
sys.addaudithook(lambda event, _: event == "os.posix_spawn" and started.append(event))
import FIRST

time.sleep(0.05)
import OTHERS

print(len(started))
