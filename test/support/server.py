"""server.py NAME PORT...: on each port, TCP and UDP, IPv4 and IPv6, answers `NAME CLIENT` and, over TCP, ends; a client that
sends `hold` is answered again for each further line, until it ends itself. HTTP requests are answered, too: /health is 200."""
import socket
import sys
import threading

name, ports = sys.argv[1], [int(port) for port in sys.argv[2:]]


def client(address):
    return address[0].removeprefix('::ffff:')


def serve(connection, address):
    with connection:
        line = connection.recv(4096)
        text = f'{name} {client(address)}\n'
        if line.startswith(b'GET /health'):
            text = 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'
        elif line.startswith(b'GET '):
            text = 'HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n'
        connection.sendall(text.encode())
        while line.startswith(b'hold'):
            if not connection.recv(4096):
                return
            connection.sendall(text.encode())


def tcp(port):
    listener = socket.create_server(('::', port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=512)
    while True:
        threading.Thread(target=serve, args=listener.accept(), daemon=True).start()


def udp(port):
    one = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    one.bind(('::', port))
    while True:
        _, address = one.recvfrom(4096)
        one.sendto(f'{name} {client(address)}\n'.encode(), address)


threads = [threading.Thread(target=kind, args=(port,), daemon=True) for port in ports for kind in (tcp, udp)]
for thread in threads:
    thread.start()
print('ready', flush=True)
for thread in threads:
    thread.join()
