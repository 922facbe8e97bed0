import fcntl, os, sys, termios

fcntl.ioctl(0, termios.TIOCSCTTY, 0)
settings = termios.tcgetattr(0)
settings[3] |= termios.TOSTOP
termios.tcsetattr(0, termios.TCSANOW, settings)
pid = os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ, setpgroup=0)
if sys.argv[1] == "foreground":
    os.tcsetpgrp(0, pid)
_, status = os.waitpid(pid, os.WUNTRACED)
if os.WIFSTOPPED(status):
    os.kill(pid, 9)
sys.exit(status)
