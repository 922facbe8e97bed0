import sys, time

started = []
sys.addaudithook(lambda event, _: event == "os.posix_spawn" and started.append(event))
import ONE

time.sleep(0.5)
import TWO

print(len(started))
