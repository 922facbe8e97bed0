import socket

listener = socket.create_server(("127.0.0.1", 443), backlog=2048)
opened = []
reset = 0
for number in range(250):
    try:
        source = (f"127.0.0.{7 + number % 2}", 0)
        opened.append(socket.create_connection(("127.0.0.1", 443), 5, source))
    except ConnectionError:
        reset += 1
print(len(opened), reset)
