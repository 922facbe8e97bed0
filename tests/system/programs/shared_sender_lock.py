import plaintally._spawn as sender

left = sender._sending
left.acquire()
import hostpkg

assert sender._sending is not left
assert not sender._sending.locked()
