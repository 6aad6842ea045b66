"""client.py ADDRESS PORT tcp|udp COUNT: asks that often, each time from a new port; prints what was answered as JSON:
{"servers": {NAME: COUNT}, "seen": [what the servers saw as the client's address], "failed": [why]}."""
import collections
import contextlib
import json
import socket
import sys

address, port, proto, count = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
servers, seen, failed = collections.Counter(), set(), []
with contextlib.ExitStack() as held:
    for _ in range(count):
        family = socket.AF_INET6 if ':' in address else socket.AF_INET
        with contextlib.ExitStack() as mine:
            one = socket.socket(family, socket.SOCK_STREAM if proto == 'tcp' else socket.SOCK_DGRAM)
            # A UDP port is drawn at random and free when its socket is closed: to be new, it is kept until the end.
            (mine if proto == 'tcp' else held).enter_context(one)
            one.settimeout(3)
            try:
                one.connect((address, port))
                one.sendall(b'ask\n')
                server, client = one.recv(4096).decode().split()
                servers[server] += 1
                seen.add(client)
            except (OSError, ValueError) as error:
                failed.append(type(error).__name__)
print(json.dumps({'servers': servers, 'seen': sorted(seen), 'failed': failed}))
