pairs = [socket.socketpair() for _ in range(4)]
for one, other in pairs:
    other.sendall(b"the host's own")
time.sleep(0.5)
assert left_behind() == (0, 0)
assert {one.recv(100, socket.MSG_DONTWAIT) for one, _ in pairs} == {b"the host's own"}
for pair in pairs:
    for end in pair:
        end.close()
assert os.listdir("/proc/self/fd") == before
