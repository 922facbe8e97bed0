import FIRST

signal_sender(signal.SIGSTOP)
time.sleep(1.5)
import SECOND

signal_sender(signal.SIGCONT)
