import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { inspect } from 'node:util';
import type { ErrorCode } from '../../src/model/error.ts';
import { WarrenError } from '../../src/model/error.ts';
import { newId } from '../../src/model/id.ts';
import type { Network } from '../../src/model/network.ts';
import { openStore } from '../../src/store/redis.ts';
import type { Store } from '../../src/store/store.ts';
import { parseStoreUrl } from '../../src/store/url.ts';
import { freePort, startRedis } from '../support/redis.ts';
import { attach, clusterWish, endpointWish, fails, networkWish, nodeWish, serviceWish } from './fixture.ts';

/** Every verb, so that none answers a broken store with something that looks like an answer. */
function verbs(store: Store, network: Network): Record<string, () => Promise<unknown>> {
  const node = nodeWish('n1');
  const endpoint = newId<'endpoint'>();
  return {
    clusterInit: () => store.clusterInit(clusterWish),
    cluster: () => store.cluster(),
    clusterLimit: () => store.clusterLimit({ networks: 1 }),
    clusterErase: () => store.clusterErase([]),
    count: () => store.count(),
    nodeRegister: () => store.nodeRegister(node),
    nodeRemove: () => store.nodeRemove(node.id),
    nodeStart: () => store.nodeStart(node.id, node, 1000),
    nodeRefresh: () => store.nodeRefresh(node.id, 1, node),
    nodeRenew: () => store.nodeRenew(node.id, 1, 1000),
    leases: () => store.leases(),
    announcementsTo: () => store.announcementsTo(node.id),
    announcementsBy: () => store.announcementsBy(node.id, [newId()]),
    announce: () => store.announce(node.id, 1, new Map([[newId(), 'text']])),
    networkCreate: () => store.networkCreate(networkWish('app'), []),
    networkUpdate: () => store.networkUpdate(network.id, { labels: { a: 'b' } }, []),
    networkRemove: () => store.networkRemove(network.id, true),
    networkJoin: () => store.networkJoin(network.id, node.id),
    networkLeave: () => store.networkLeave(network.id, node.id),
    networkPublish: () => store.networkPublish(network.id, newId(), []),
    usage: () => store.usage(network.id),
    endpointAttach: () => attach(store, network, 'e1'),
    endpointReady: () => store.endpointReady(network.id, endpoint, 1),
    endpointDetach: () => store.endpointDetach(network.id, endpoint),
    endpoints: () => store.endpoints(network.id),
    endpointCount: () => store.endpointCount(network.id),
    endpointServe: () => store.endpointServe(network.id, endpoint, { backend: null }),
    serviceCreate: () => store.serviceCreate(network, serviceWish(network, 'web')),
    serviceUpdate: () => store.serviceUpdate(network, serviceWish(network, 'web')),
    serviceRemove: () => store.serviceRemove(network.id, newId()),
    services: () => store.services(network.id),
    registryRestore: () => store.registryRestore(someView, node.id),
    networkRestore: () =>
      store.networkRestore(network, {
        node: node.id,
        epoch: 1,
        revision: undefined,
        mine: [],
        others: [],
        services: [],
      }),
    networkCheck: () => store.networkCheck(network, { repair: true, gone: [], known: undefined }),
    membersCheck: () => store.membersCheck(true),
    registrySince: () => store.registrySince(undefined),
    networkSince: () => store.networkSince(network.id, undefined),
    ping: () => store.ping(),
  };
}

const someView = {
  cluster: { id: newId<'cluster'>(), incarnation: 'x', ...clusterWish },
  revision: { incarnation: 'x', n: 0 },
  nodes: new Map(),
  networks: new Map(),
};
const someNetwork = { ...networkWish('app'), vni: 1, vipPools: [], published: [], members: [] } as Network;

async function allFail(store: Store, code: ErrorCode, but: readonly string[] = []): Promise<void> {
  for (const [verb, call] of Object.entries(verbs(store, someNetwork))) {
    if (!but.includes(verb))
      await fails(call(), code, undefined).catch((error) => assert.fail(`${verb}: ${error.message}`));
  }
}

test('nobody there: store_unreachable, quickly, and well again when it comes', async () => {
  const port = await freePort();
  const store = openStore(`redis://127.0.0.1:${port}`, 'test');
  const begin = performance.now();
  const error = await fails(store.ping(), 'store_unreachable', new RegExp(`redis://127.0.0.1:${port}: .*ECONNREFUSED`));
  assert.equal(error.exit, 5);
  assert.ok(error.hint);
  assert.ok(performance.now() - begin < 5000);
  const later = performance.now();
  await allFail(store, 'store_unreachable');
  assert.ok(performance.now() - later < 1000, 'known to be away: no call waits');
  assert.equal(store.connected, false);
  const server = await startRedis({ port });
  try {
    const deadline = performance.now() + 3000;
    while (!store.connected && performance.now() < deadline) await sleep(20);
    assert.equal((await store.clusterInit(clusterWish)).created, true);
  } finally {
    await store.close();
    await server.stop();
  }
});

test('a short gap is bridged, whatever was under way', async () => {
  const port = await freePort();
  let server = await startRedis({ port });
  const store = openStore(server.url, 'test');
  const seen: boolean[] = [];
  store.onConnection((connected) => seen.push(connected));
  try {
    await store.clusterInit(clusterWish);
    assert.equal(store.connected, true);
    await store.ping();
    assert.ok((store.lagMs ?? 0) > 0);
    const net = await store.networkCreate(networkWish('app'), []);
    // Connections end under calls in flight; each call still gives one answer, and makes one endpoint.
    const calls = Array.from({ length: 200 }, (_, i) => store.endpointAttach(net, endpointWish(net, `e${i}`)));
    await server.admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
    const made = await Promise.all(calls);
    assert.equal(new Set(made.flatMap(({ addresses }) => addresses)).size, 400);
    assert.equal(await store.endpointCount(net.id), 200);
    assert.deepEqual(seen, [true, false, true]);
    await server.stop();
    const during = store.clusterInit(clusterWish);
    await sleep(300);
    server = await startRedis({ port });
    // The new server is empty, and has never seen a script.
    assert.equal((await during).created, true);
  } finally {
    await store.close();
    await server.stop();
  }
});

test('a store that hangs does not hang us', async () => {
  const server = await startRedis();
  const store = openStore(server.url, 'test');
  try {
    await store.clusterInit(clusterWish);
    process.kill(server.pid, 'SIGSTOP');
    const begin = performance.now();
    await fails(store.cluster(), 'store_unreachable', /timed out/);
    assert.ok(performance.now() - begin < 7000);
    process.kill(server.pid, 'SIGCONT');
    assert.ok(await store.cluster());
  } finally {
    process.kill(server.pid, 'SIGCONT');
    await store.close();
    await server.stop();
  }
});

test('wrong or missing password, and a user who may not: store_auth, and no password anywhere', async () => {
  const password = 'p@ss:w0rd/%';
  const port = await freePort();
  const server = await startRedis({ port, password });
  const right = encodeURIComponent(password);
  const wrong = 'hunter2-wrong';
  try {
    await server.admin.call(
      'ACL',
      'SETUSER',
      'reader',
      'on',
      `>${wrong}`,
      '~*',
      '&*',
      '+@read',
      '+@connection',
      '+info',
    );
    for (const login of ['', `:${wrong}@`, `nobody:${wrong}@`, `reader:${wrong}@`]) {
      const store = openStore({ reveal: () => `redis://${login}127.0.0.1:${port}` }, 'test');
      const begin = performance.now();
      const error = await fails(store.clusterInit(clusterWish), 'store_auth');
      assert.ok(performance.now() - begin < 1000, 'a refusal is no reason to wait');
      assert.equal(error.exit, 5);
      assert.ok(
        !`${inspect(error, { depth: 9 })}${JSON.stringify(error)}${inspect(store, { depth: 9 })}`.includes(wrong),
      );
      assert.equal(store.url, `redis://127.0.0.1:${port}`);
      await store.close();
    }
    const store = openStore(`redis://:${right}@127.0.0.1:${port}`, 'test');
    assert.equal((await store.clusterInit(clusterWish)).created, true);
    assert.ok(!inspect(store, { depth: 9 }).includes(password));
    // The password is changed under us.
    await server.admin.call('CONFIG', 'SET', 'requirepass', 'other');
    await server.admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
    const error = await fails(store.ping(), 'store_auth');
    assert.ok(!error.message.includes(password));
    await server.admin.call('CONFIG', 'SET', 'requirepass', password);
    const deadline = performance.now() + 3000;
    while (!store.connected && performance.now() < deadline) await sleep(20);
    await store.ping();
    await store.close();
  } finally {
    await server.stop();
  }
});

test('a replica, and a primary without enough of them, take no writes but can be read', async () => {
  const server = await startRedis();
  const store = openStore(server.url, 'test');
  try {
    await store.clusterInit(clusterWish);
    const net = await store.networkCreate(networkWish('app'), []);
    await server.admin.call('CONFIG', 'SET', 'min-replicas-to-write', '1');
    await fails(store.nodeRegister(nodeWish('n1')), 'store_readonly', /NOREPLICAS|replicas/i);
    await fails(attach(store, net, 'e1'), 'store_readonly');
    await server.admin.call('CONFIG', 'SET', 'min-replicas-to-write', '0');
    // Its primary does not exist; it goes on serving what it has.
    await server.admin.call('REPLICAOF', '127.0.0.1', '1');
    const error = await fails(store.nodeRegister(nodeWish('n1')), 'store_readonly', /read only/i);
    assert.match(error.hint ?? '', /primary/);
    await fails(attach(store, net, 'e1'), 'store_readonly');
    assert.equal((await store.registrySince(undefined)).revision.n, 1);
    await server.admin.call('REPLICAOF', 'NO', 'ONE');
    await attach(store, net, 'e1');
  } finally {
    await store.close();
    await server.stop();
  }
});

test('after close every call fails, none hangs', async () => {
  const server = await startRedis();
  const store = openStore(server.url, 'test');
  await store.clusterInit(clusterWish);
  await store.close();
  await allFail(store, 'store_unreachable');
  await server.stop();
});

test('store URLs', () => {
  const parsed = (url: string) => {
    const { secrets: _, ...rest } = parseStoreUrl(url);
    return rest;
  };
  const single = { kind: 'single', tls: false, db: 0 };
  const host = (name: string, port: number) => ({ host: name, port });
  assert.deepEqual(parsed('redis://h'), { ...single, hosts: [host('h', 6379)], url: 'redis://h:6379' });
  assert.deepEqual(parsed('rediss://u:p%40:x@[fd00::1]:7000/3'), {
    ...{ ...single, tls: true, db: 3, username: 'u', password: 'p@:x' },
    ...{ hosts: [host('fd00::1', 7000)], url: 'rediss://[fd00::1]:7000/3' },
  });
  assert.deepEqual(parsed('redis://:p@h'), {
    ...single,
    password: 'p',
    hosts: [host('h', 6379)],
    url: 'redis://h:6379',
  });
  assert.deepEqual(parsed('redis+unix:///run/r.sock?db=2'), {
    ...single,
    db: 2,
    hosts: [],
    path: '/run/r.sock',
    url: 'redis+unix:///run/r.sock',
  });
  assert.deepEqual(parsed('redis+sentinel://:p@a,b:26380/main'), {
    ...{ ...single, kind: 'sentinel', name: 'main', password: 'p' },
    ...{ hosts: [host('a', 26379), host('b', 26380)], url: 'redis+sentinel://a:26379,b:26380/main' },
  });
  assert.deepEqual(parsed('redis+cluster://a,b:7001'), {
    ...single,
    kind: 'cluster',
    hosts: [host('a', 6379), host('b', 7001)],
    url: 'redis+cluster://a:6379,b:7001',
  });
  const bad = [
    '',
    'h',
    'http://h',
    'redis://',
    'redis://h:0',
    'redis://h:99999',
    'redis://a,b',
    'redis://h/x',
    'redis+sentinel://a',
    'redis+unix://h/p',
    'redis://:geheim%zz@h',
    'redis://u:geheim@h:x',
  ];
  for (const url of bad) {
    assert.throws(
      () => parseStoreUrl(url),
      (error) => error instanceof WarrenError && error.code === 'invalid_input' && !error.message.includes('geheim'),
      url,
    );
  }
});
