"""load.py ADDRESS PORT [SECONDS]: new TCP connections one after the other, each given 5 seconds or so many, until standard
input ends; prints as JSON
{"count", "failed": [why], "slow": answered after more than 0.9 s, "seconds", "outages": [[seconds since the start, seconds]]}:
an outage is from a failure to the next answer."""
import json
import select
import socket
import sys
import time

address, port = sys.argv[1], int(sys.argv[2])
patience = float(sys.argv[3]) if len(sys.argv) > 3 else 5
family = socket.AF_INET6 if ':' in address else socket.AF_INET
began = time.monotonic()
count, failed, slow, outages, since = 0, [], 0, [], None
while not select.select([sys.stdin], [], [], 0)[0]:
    with socket.socket(family, socket.SOCK_STREAM) as one:
        one.settimeout(patience)
        asked = time.monotonic()
        try:
            one.connect((address, port))
            one.sendall(b'ask\n')
            if not one.recv(4096):
                raise OSError('no answer')
            slow += time.monotonic() - asked > 0.9
            if since is not None:
                outages.append([since - began, time.monotonic() - since])
                since = None
        except OSError as error:
            failed.append(str(error))
            since = since or time.monotonic()
    count += 1
if since is not None:
    outages.append([since - began, time.monotonic() - since])
print(json.dumps({'count': count, 'failed': failed, 'slow': slow, 'seconds': time.monotonic() - began, 'outages': outages}))
