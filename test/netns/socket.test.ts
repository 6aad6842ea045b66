import assert from 'node:assert/strict';
import { closeSync } from 'node:fs';
import { createServer } from 'node:net';
import { inside, kernelTest, later, refuses } from '../support/netns.ts';

kernelTest('a socket belongs to the namespace it was opened in', async ({ kernel, netns }) => {
  const ns = await netns();
  await kernel.apply(ns, [{ op: 'link.set', link: { name: 'lo', up: true } }]);
  const udp = await kernel.socket(ns, 'udp', '10.9.0.1', 53); // an address that is not there yet
  const six = await kernel.socket(ns, 'udp', '::1', 53);
  const tcp = await kernel.socket(ns, 'tcp', '127.0.0.1', 8053);
  try {
    const listed = inside(ns, 'ss', '-Hnua');
    assert.match(listed, /10\.9\.0\.1:53/);
    assert.match(listed, /\[::1\]:53/);
    const server = createServer((socket) => socket.end('hello')).listen({ fd: tcp });
    const answer = await later(ns, 'bash', '-c', 'cat </dev/tcp/127.0.0.1/8053');
    assert.equal(answer, 'hello');
    await new Promise((resolve) => server.close(resolve));
  } finally {
    closeSync(udp);
    closeSync(six);
  }
});

kernelTest('a port taken, a wrong call', async ({ kernel, netns }) => {
  const ns = await netns();
  const fd = await kernel.socket(ns, 'udp', '10.9.0.1', 53);
  try {
    await assert.rejects(kernel.socket(ns, 'udp', 'localhost', 53), TypeError);
    await assert.rejects(kernel.socket(ns, 'udp', '10.9.0.1', 65536), TypeError);
    await refuses(kernel.socket({ path: '/run/netns/nobody' }, 'udp', '10.9.0.1', 53), {
      code: 'ENOENT',
      op: 'socket',
    });
  } finally {
    closeSync(fd);
  }
});
