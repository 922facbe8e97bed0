import os, socket, subprocess, sys

subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
with open("resolv.conf", "w") as file:
    file.writelines(f"nameserver 127.0.0.{number}\n" for number in (1, 2, 3))
subprocess.run(["mount", "--bind", "resolv.conf", os.path.realpath("/etc/resolv.conf")], check=True)
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("0.0.0.0", 53))
print(subprocess.run(sys.argv[1:], stdin=subprocess.DEVNULL).returncode, flush=True)
sys.stdin.read()
