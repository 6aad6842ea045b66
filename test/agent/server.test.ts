import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { AgentClient } from '../../src/agent/protocol.ts';
import { ApiServer } from '../../src/agent/server.ts';
import { WarrenError } from '../../src/model/error.ts';

const dir = mkdtempSync(join(tmpdir(), 'warren-api-'));
after(() => rmSync(dir, { recursive: true, force: true }));

/** Asks, and dies before it has read the whole answer: the other end of its socket is reset. */
const dies = `
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
s.send(b'{"jsonrpc":"2.0","id":1,"method":"status"}\\n')
s.recv(1)`;

test('a client that dies with its answer unread takes nobody with it', async (t) => {
  const path = join(dir, 'server.sock');
  const server = await ApiServer.listen(path, { status: async () => ({ well: true }) });
  t.after(() => server.close());
  await once(spawn('python3', ['-c', dies, path]), 'exit');
  const client = await AgentClient.connect(path);
  t.after(() => client.close());
  assert.deepEqual(await client.call('status'), { well: true });
});

test('an agent that dies with the request unread: the caller is told so', async () => {
  const path = join(dir, 'client.sock');
  const accepted = new Promise<Socket>((resolve) => {
    const server = createServer({ pauseOnConnect: true }, (socket) => {
      server.close();
      resolve(socket);
    });
    server.listen(path);
  });
  const client = await AgentClient.connect(path);
  const agent = await accepted;
  const call = client.call('status');
  agent.destroy();
  await assert.rejects(call, (error) => error instanceof WarrenError && error.code === 'agent_unreachable');
});
