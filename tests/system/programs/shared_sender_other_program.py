import sys, time

started = []
name = "_thread.start_new_thread"
sys.addaudithook(lambda event, _: event == name and started.append(event))
sys.executable = PROGRAM
import hostpkg

assert started == []
assert left_behind() == (0, 0)
