/**
 * Ports that hosts listen on for a service.
 *
 *   d (no member) ──┐        a: backend w1      b: backend w2      c: no endpoint at all
 *                   └── net0 ── :8088 → web 80, :8053/udp → web 53, on all three; :9088 → near 80, where near has a backend
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { NetworkJson } from '../../src/control/present.ts';
import { Cluster, type Host } from '../support/cluster.ts';
import { askFrom, serve, serving } from '../support/service.ts';
import { waitFor } from '../support/wait.ts';

describe('published ports', () => {
  let cluster: Cluster;
  let hosts: readonly Host[];
  let outside: Host;
  before(async () => {
    cluster = await Cluster.boot({ guests: 4 });
    hosts = cluster.hosts.slice(0, 3);
    outside = cluster.hosts[3] ?? assert.fail();
    for (const host of hosts) await host.init(`--store ${Cluster.store} --advertise eth0`);
    await Promise.all(hosts.map((host) => host.startAgent()));
  });
  after(() => cluster?.stop());

  test('every host listens, also one without endpoints, and the server sees the client', async () => {
    const { a, b, c } = cluster;
    await a.json('network create app --subnet 10.9.0.0/16 --subnet fd09::/64');
    await a.json(
      'service create web --network app --port 80:8080 --port 53:5353/udp --publish 8088:80 --publish 8053:53/udp',
    );
    for (const [host, netns] of [
      [a, 'w1'],
      [b, 'w2'],
    ] as const) {
      await host.attach('app', netns, '--service web');
      await serve(host, netns, 8080, 5353, 9080);
    }
    await waitFor(async () => (await c.guest.ok('ip netns')).includes('warren-'), { what: 'the network on c' });
    for (const host of hosts) await serving(host, 'web', 2);
    for (const host of hosts) {
      for (const family of [4, 6] as const) {
        for (const [proto, port] of [
          ['tcp', 8088],
          ['udp', 8053],
        ] as const) {
          const what = `${host.name} IPv${family} ${proto}`;
          const answers = await askFrom(outside, '', host.guest.address(family), port, proto, 8);
          assert.deepEqual(answers.failed, [], what);
          assert.deepEqual(answers.servers, { w1: 4, w2: 4 }, what);
          assert.deepEqual(answers.seen, [outside.guest.address(family)], what);
        }
      }
    }
  });

  test('hosts reach them themselves, by their own addresses, each other’s, and the loopback', async () => {
    const { a, b } = cluster;
    for (const [from, address] of [
      [a, '10.77.0.1'],
      [a, '10.77.0.2'],
      [b, 'fd77::1'],
      [a, '127.0.0.1'],
    ] as const) {
      const { servers, failed } = await askFrom(from, '', address, 8088, 'tcp', 4);
      assert.deepEqual([servers, failed], [{ w1: 2, w2: 2 }, []], `${from.name} → ${address}`);
    }
    assert.deepEqual((await askFrom(a, '', '::1', 8088, 'tcp', 1)).failed, ['ConnectionRefusedError']);
  });

  test('endpoints reach them on their own host and on another', async () => {
    const { a } = cluster;
    await a.attach('app', 'inner');
    for (const address of ['10.77.0.1', '10.77.0.2']) {
      const { servers, failed } = await askFrom(a, 'inner', address, 8088, 'tcp', 4);
      assert.deepEqual([servers, failed], [{ w1: 2, w2: 2 }, []], address);
    }
  });

  test('one client port by two hosts at once', async () => {
    const script = `
import socket
def one(host):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    s.bind(('10.77.0.4', 5555))
    s.settimeout(3)
    s.connect((host, 8088))
    s.sendall(b'hold\\n')
    return s
socks = [one('10.77.0.1'), one('10.77.0.2'), one('10.77.0.3')]
print([s.recv(99).decode().split()[1] for s in socks])
for s in socks: s.sendall(b'again\\n')
print([s.recv(99).decode().split()[1] for s in socks])
`;
    const said = await outside.guest.ok(['python3', '-c', script]);
    assert.equal(said.trim().split('\n').length, 2, said);
    assert.equal(said.match(/10\.77\.0\.4/g)?.length, 6, said);
  });

  test('a port is one service’s in the whole cluster, and free again when that is gone', async () => {
    const { a } = cluster;
    const taken = await a.warren('service create other --network app --port 80 --publish 8088:80 --json');
    assert.equal(taken.code, 4);
    assert.equal(JSON.parse(taken.stdout).error.code, 'published_port_taken');
    assert.equal((await a.warren('service inspect other')).code, 3, 'nothing was made');
    const wrong = await a.warren('service create other --network app --port 80 --publish 8089:81 --json');
    assert.equal(wrong.code, 2);
    await a.json('network create shut --internal');
    const internal = await a.warren('service create other --network shut --port 80 --publish 8089:80 --json');
    assert.equal(internal.code, 2);
  });

  test('published by hosts with backends only, to their own', async () => {
    const { a, b, c } = cluster;
    await a.json(
      'service create near --network app --port 80:9080 --publish 9088:80 --publish-mode host --health none',
    );
    for (const netns of ['n1', 'n2']) {
      await a.attach('app', netns, '--service near');
      await serve(a, netns, 9080);
    }
    await serving(a, 'near', 2);
    await waitFor(
      async () => Object.keys((await askFrom(outside, '', '10.77.0.1', 9088, 'tcp', 2)).servers).length === 2,
      { what: 'near on a' },
    );
    const { seen } = await askFrom(outside, '', '10.77.0.1', 9088, 'tcp', 2);
    assert.deepEqual(seen, ['10.77.0.4']);
    for (const host of [b, c]) {
      const { failed } = await askFrom(outside, '', host.guest.address(), 9088, 'tcp', 1);
      assert.deepEqual(failed, ['ConnectionRefusedError'], host.name);
    }
    await b.attach('app', 'n3', '--service near');
    await serve(b, 'n3', 9080);
    await waitFor(async () => 'n3' in (await askFrom(outside, '', '10.77.0.2', 9088, 'tcp', 1)).servers, {
      what: 'near on b',
    });
    const { servers } = await askFrom(outside, '', '10.77.0.2', 9088, 'tcp', 4);
    assert.deepEqual(servers, { n3: 4 }, 'its own only');
  });

  test('only clients from where it says', async () => {
    const { a } = cluster;
    await a.json('service update web --publish-from 10.77.0.3/32');
    await waitFor(
      async () => (await askFrom(outside, '', '10.77.0.1', 8088, 'tcp', 1)).failed[0] === 'ConnectionRefusedError',
      { what: 'strangers to be refused' },
    );
    const friend = await askFrom(cluster.c, '', '10.77.0.1', 8088, 'tcp', 2);
    assert.deepEqual(friend.servers, { w1: 1, w2: 1 });
    assert.deepEqual((await askFrom(a, '', '10.77.0.1', 8088, 'tcp', 2)).servers, { w1: 1, w2: 1 });
  });

  test('an agent that starts finds all as it should be, and nothing is left afterwards', async () => {
    const { a, c } = cluster;
    await a.killAgent();
    await a.startAgent();
    const log = async () => (await a.guest.ok('grep -c \'"message":"applied"\' /lab/a.agent || true')).trim();
    await a.ask('sync');
    const before = await log();
    await a.ask('sync');
    assert.equal(await log(), before, 'a second pass has nothing to do');
    for (const service of ['web', 'near']) await a.json(`service rm ${service}`);
    await waitFor(async () => !(await c.guest.ok('ip netns')).includes('warren-'), { what: 'c to leave the network' });
    const members = await a.json<NetworkJson & { members: string[] }>('network inspect app');
    assert.deepEqual(members.members.sort(), ['a', 'b']);
    assert.doesNotMatch(await a.guest.ok('nft list table inet warren'), /dnat ip/);
    assert.doesNotMatch(await a.guest.ok('ip route'), /10\.64\./);
    assert.doesNotMatch(await a.guest.ok('ip netns exec w1 nft list ruleset'), /warren/);
  });
});
