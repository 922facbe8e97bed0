import os, pty, sys, time

pid, terminal = pty.fork()
if pid == 0:
    os.execve(PYTHON, [PYTHON, "-q"], ENVIRONMENT)
seen = b""
while b">>>" not in seen:
    seen += os.read(terminal, 4096)
os.write(terminal, CALL)
for _ in range(500):
    if os.path.exists(CHOICES):
        break
    time.sleep(0.02)
os.write(terminal, b"exit()" + chr(10).encode())
time.sleep(0.2)
