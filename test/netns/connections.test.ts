import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { connect, end, eventually, inside, kernelTest, refuses } from '../support/netns.ts';

/** As `ss` counts them. */
const states = 'state connected exclude syn-sent exclude syn-recv exclude time-wait';

kernelTest('connections of a port are counted until both sides have closed', async ({ kernel, netns, defer }) => {
  const ns = await netns();
  await kernel.apply(ns, [{ op: 'link.set', link: { name: 'lo', up: true } }]);
  const accepted: Socket[] = [];
  const listen = async (address: string, port: number) => {
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      socket.on('error', () => {});
      accepted.push(socket);
      socket.resume();
      socket.write('hello\n');
    });
    server.listen({ fd: await kernel.socket(ns, 'tcp', address, port) });
    defer(() => {
      for (const socket of accepted) socket.destroy();
      return new Promise((resolve) => server.close(resolve));
    });
    await once(server, 'listening');
  };
  const open = async (address: string, port: number) => {
    const client = connect(ns, address, port);
    defer(() => end(client));
    await once(client.stdout, 'data');
    return client;
  };
  const count = async () => {
    const ours = await kernel.connections(ns, 80);
    const theirs = inside(ns, 'ss', '-tnH', ...states.split(' '), 'sport', '=', ':80').split('\n').length - 1;
    assert.equal(ours, theirs);
    return ours;
  };
  assert.equal(await count(), 0);
  await listen('0.0.0.0', 80);
  await listen('::', 80);
  await listen('0.0.0.0', 81);
  assert.equal(await count(), 0);
  const clients = [await open('127.0.0.1', 80), await open('127.0.0.1', 80), await open('::1', 80)] as const;
  await open('127.0.0.1', 81);
  assert.equal(await count(), 3);
  assert.equal(await kernel.connections(ns, 81), 1);

  // The client has closed, the server has not.
  await end(clients[0]);
  await eventually(() => assert.match(inside(ns, 'ss', '-tnH', 'sport', '=', ':80'), /CLOSE-WAIT/));
  assert.equal(await count(), 3);
  accepted[0]?.end();
  await eventually(async () => assert.equal(await count(), 2));
  // The server has, the client, which would on seeing it, has not.
  clients[1].kill('SIGSTOP');
  accepted[1]?.end();
  await eventually(() => assert.match(inside(ns, 'ss', '-tnHa', 'sport', '=', ':80'), /FIN-WAIT-2/));
  assert.equal(await count(), 2);
  // Both have, the server first: what is left waits for packets that went astray.
  await end(clients[1]);
  await eventually(() => assert.match(inside(ns, 'ss', '-tnHa', 'sport', '=', ':80'), /TIME-WAIT/));
  assert.equal(await count(), 1);
});

kernelTest('connections: in their own namespace, of a port that can be', async ({ kernel, netns }) => {
  const ns = await netns();
  assert.equal(await kernel.connections(ns, 80), 0);
  for (const port of [0, 65536, 1.5, '80']) {
    await assert.rejects(kernel.connections(ns, port as number), TypeError, String(port));
  }
  await refuses(kernel.connections({ path: '/run/netns/nobody' }, 80), {
    code: 'ENOENT',
    message: 'connections port 80 in netns nobody: ENOENT',
  });
});
