/** What a node can do for a store that lost writes; test/lab/store.test.ts shows the same on real hosts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { checkNetworks } from '../../src/control/repair.ts';
import type { Endpoint } from '../../src/model/endpoint.ts';
import type { Network } from '../../src/model/network.ts';
import { random } from '../support/random.ts';
import { cidr, clusterWish, fails, ip, networkWish, nodeWish, withRedis } from './fixture.ts';
import { content, Host } from './host.ts';

const redis = withRedis();

const keysOf = (name: string) => redis.server.admin.keys(`warren:{${name}*`);
async function wipe(name: string): Promise<void> {
  await redis.server.admin.del(...(await keysOf(name)));
}
/** As a dump is: everything at one moment. The answer puts it back. */
async function dump(name: string): Promise<() => Promise<void>> {
  const { admin } = redis.server;
  const old = await Promise.all((await keysOf(name)).map(async (key) => [key, await admin.dumpBuffer(key)] as const));
  return async () => {
    await wipe(name);
    for (const [key, value] of old) await admin.restore(key, 0, value);
  };
}

async function two(): Promise<{ name: string; a: Host; b: Host; app: Network }> {
  const { name, store } = await redis.cluster();
  const [a, b] = [await Host.join(redis, name, 'a'), await Host.join(redis, name, 'b')];
  const app = await store.networkCreate(networkWish('app', { labels: { tier: 'front' }, reserved: [] }), []);
  for (const host of [a, b]) await host.mirror.refresh();
  return { name, a, b, app };
}

test('an empty store becomes the same cluster of a new incarnation, however many make it and how often', async () => {
  const { name, a, b } = await two();
  await a.store.networkCreate(networkWish('static', { subnets: [cidr('10.9.0.0/24'), cidr('fd09::/64')] }), []);
  const overlap = { subnets: [cidr('10.9.0.0/16')], allowOverlap: true, mtu: 1400, internal: true };
  await a.store.networkCreate(networkWish('over', overlap), []);
  for (const host of [a, b]) await host.mirror.refresh();
  const before = await content(redis, name, '');
  const cluster = a.view.cluster;
  await wipe(name);
  const answers = await Promise.all([a, b, a].map((host) => host.store.registryRestore(host.view, host.node.id)));
  assert.deepEqual(answers.map(({ made }) => made).sort(), [false, false, true]);
  assert.deepEqual(
    answers.flatMap(({ conflicts }) => conflicts),
    [],
  );
  assert.equal(answers.flatMap(({ added }) => added).length, 3);
  assert.deepEqual(await content(redis, name, ''), before);
  const after = await redis.open(name).cluster();
  assert.deepEqual({ ...after, incarnation: '' }, { ...cluster, incarnation: '' });
  assert.notEqual(after?.incarnation, cluster.incarnation);
  const { revision } = await a.store.registrySince(undefined);
  for (const host of [a, b]) {
    const again = await host.store.registryRestore(host.view, host.node.id);
    assert.deepEqual(again, { made: false, added: [], conflicts: [] });
  }
  assert.deepEqual((await a.store.registrySince(undefined)).revision, revision);
  // What is made from now on takes nothing that is restored.
  const next = await a.store.networkCreate(networkWish('next'), []);
  const taken = [...a.view.networks.values()];
  assert.ok(!taken.some(({ vni, subnets }) => vni === next.vni || subnets.some((each) => next.subnets.includes(each))));
  assert.ok(!taken.some(({ vipPools }) => vipPools.some((pool) => next.vipPools.includes(pool))));
  const c = await a.store.nodeRegister(nodeWish('c'));
  assert.ok(![a.node.index, b.node.index].includes(c.index));
});

test('an older store gets what it misses; what is there stays, and epochs never go back', async () => {
  const { name, a, app } = await two();
  await a.store.networkCreate(networkWish('gone', { subnets: [cidr('10.1.0.0/24')] }), []);
  const grows = await a.store.networkCreate(networkWish('grows', { subnets: [cidr('10.2.0.0/24')] }), []);
  const back = await dump(name);
  const c = await Host.join(redis, name, 'c');
  const late = await a.store.networkCreate(networkWish('late'), []);
  await a.store.networkUpdate(grows.id, { subnets: [cidr('10.2.0.0/20')] }, []);
  const able = { identity: 'x'.repeat(43), encryption: { ciphers: [], fastAes: false } };
  const node = await a.store.nodeStart(a.node.id, { ...nodeWish('a', able), underlay: ip('192.0.2.77') }, 1000);
  await a.mirror.refresh();
  await back();
  await a.store.networkUpdate(app.id, { labels: { tier: 'back' } }, []);
  await fails(a.mirror.refresh(''), 'store_lost_writes');
  const restored = await a.store.registryRestore(a.view, a.node.id);
  assert.deepEqual(restored, { made: false, added: [late.id], conflicts: [] });
  const now = await a.store.registrySince(undefined);
  assert.ok(now.kind === 'snapshot');
  const { nodes, networks } = now.snapshot;
  assert.deepEqual(
    nodes.find(({ id }) => id === c.node.id),
    c.node,
  );
  assert.deepEqual(
    nodes.find(({ id }) => id === a.node.id),
    node,
  );
  const of = (id: string) => networks.find((each) => each.id === id);
  assert.deepEqual([networks.length, of(late.id), of(app.id)?.labels], [4, late, { tier: 'back' }]);
  assert.deepEqual(of(grows.id)?.subnets, ['10.2.0.0/20']);
  assert.equal(now.revision.incarnation, a.view.revision.incarnation);
  await a.mirror.adopt(a.node.id);
  assert.deepEqual(a.view.networks.get(late.id), late);
});

test('what cannot be added is told, with who is in the way', async () => {
  const { name, a, b, app } = await two();
  const wide = await a.store.networkCreate(networkWish('wide', { subnets: [cidr('10.1.0.0/16')] }), []);
  await a.mirror.refresh();
  await wipe(name);
  const { conflicts: none } = await b.store.registryRestore(
    { ...b.view, nodes: new Map(), networks: new Map() },
    b.node.id,
  );
  assert.deepEqual(none, []);
  const fresh = redis.open(name);
  const other = await fresh.nodeRegister(nodeWish('a'));
  const inside = await fresh.networkCreate(networkWish('inside', { subnets: [cidr('10.1.7.0/24')] }), []);
  const named = await fresh.networkCreate(networkWish('app'), []);
  const { conflicts, added } = await a.store.registryRestore(a.view, a.node.id);
  assert.deepEqual(added, []);
  assert.deepEqual(conflicts, [
    { kind: 'node', id: a.node.id, code: 'name_taken', holder: other.id },
    { kind: 'network', id: app.id, code: 'name_taken', holder: named.id },
    { kind: 'network', id: wide.id, code: 'vni_taken', holder: '' },
  ]);
  const moved = { ...wide, vni: wide.vni + 100 };
  const { conflicts: second } = await a.store.registryRestore(
    { ...a.view, networks: new Map([[wide.id, moved]]) },
    a.node.id,
  );
  assert.deepEqual(second.at(-1), { kind: 'network', id: wide.id, code: 'subnet_overlap', holder: inside.id });
  // b's index is somebody else's by now: it gets another.
  const indexes = await fresh.registrySince(undefined);
  assert.ok(indexes.kind === 'snapshot');
  const got = indexes.snapshot.nodes.map(({ index }) => index);
  assert.equal(new Set(got).size, got.length);
  assert.ok(indexes.snapshot.nodes.some(({ id }) => id === b.node.id));
  // The agent stays frozen and says so: without its node it can tell nothing.
  await a.mirror.refresh().catch(() => {});
  await assert.rejects(a.recovery.settle(), /not in the registry/);
  assert.equal(a.mirror.frozen, true);
  assert.deepEqual(a.recovery.conflicts.map(({ kind, name, code }) => [kind, name, code])[0], [
    'node',
    'a',
    'name_taken',
  ]);
});

test('what was removed since is not brought back by who was away', async () => {
  const { name, a, b, app } = await two();
  const back = await dump(name);
  const late = await a.store.networkCreate(networkWish('late'), []);
  for (const host of [a, b]) await host.mirror.refresh();
  await back();
  await a.recover();
  assert.ok(a.view.networks.has(late.id));
  for (const { id } of [late, app]) await a.store.networkRemove(id, false);
  await a.store.nodeRemove(b.node.id);
  await b.mirror.refresh().catch(() => {});
  const { added, conflicts } = await b.store.registryRestore(b.view, b.node.id);
  assert.deepEqual(added, []);
  assert.deepEqual(conflicts, [{ kind: 'node', id: b.node.id, code: 'removed', holder: '' }]);
  await fails(b.recovery.settle(), 'node_not_found', /was removed/);
  // Its agent is told, once, and does not go on trying.
  let told = 0;
  b.recovery.watch(() => told++);
  await b.recovery.stop();
  assert.equal(told, 1);
  assert.equal(b.mirror.frozen, true);
});

test('a node that was removed and added again is restored like any other', async () => {
  const { name, a, b } = await two();
  await a.store.nodeRemove(b.node.id);
  const back = await dump(name);
  const { index: _, epoch: __, ...wish } = b.node;
  await a.store.nodeRegister(wish);
  const node = await a.store.nodeStart(b.node.id, b.node, 1000);
  await a.mirror.refresh();
  assert.deepEqual(a.view.nodes.get(b.node.id), node);
  await wipe(name);
  await a.recover();
  assert.deepEqual(a.view.nodes.get(b.node.id), node);
  // Only a store from in between still says that it was removed.
  await back();
  await fails(a.mirror.refresh(), 'store_lost_writes');
  await a.recovery.settle();
  assert.equal(a.view.nodes.has(b.node.id), false);
});

test('another cluster, another layout: refused; a store that lost nothing: left alone', async () => {
  const { name, a, app } = await two();
  const view = { ...a.view, networks: new Map(a.view.networks), nodes: new Map(a.view.nodes) };
  await a.store.networkRemove(app.id, false);
  assert.deepEqual(await a.store.registryRestore(view, a.node.id), { made: false, added: [], conflicts: [] });
  assert.ok(!(await content(redis, name, '')).networks);
  await wipe(name);
  const made = await redis.open(name).clusterInit({ ...clusterWish, name });
  await a.mirror.refresh().catch(() => {});
  const error = await fails(a.recovery.settle(), 'store_lost_writes', /another cluster/);
  assert.match(error.message, new RegExp(made.cluster.id));
  assert.equal(a.mirror.frozen, true);
  const registry = await content(redis, name, '');
  assert.deepEqual(registry, {});
  await redis.server.admin.hset(`warren:{${name}}:meta`, 'schema', '99');
  await fails(a.store.registryRestore(a.view, a.node.id), 'store_schema');
  await fails(a.store.networkRestore(app, a.claim(app)), 'store_lost_writes').catch(() => {});
});

test('a network’s slot is as it was once its members have spoken, in any order and twice', async () => {
  for (const order of ['a b', 'b a', 'both']) {
    const { name, a, b, app } = await two();
    for (const [i, host] of [a, b, a, b, a].entries())
      await host.attach(app, `e${i}`, i === 1 ? { labels: { x: '1' } } : {});
    for (const host of [a, b]) await host.mirror.refresh();
    const before = await content(redis, name, `/${app.id}`);
    await wipe(name);
    for (const host of [a, b]) await host.store.registryRestore(host.view, host.node.id);
    const claims = { a: a.claim(app), b: b.claim(app) };
    const tell = (host: Host) => host.store.networkRestore(app, host === a ? claims.a : claims.b);
    if (order === 'both') await Promise.all([tell(a), tell(b), tell(a)]);
    else for (const host of order === 'a b' ? [a, b] : [b, a]) assert.deepEqual(await tell(host), []);
    assert.deepEqual(await content(redis, name, `/${app.id}`), before);
    const { revision } = (await a.store.networkSince(app.id, undefined)) ?? assert.fail();
    for (const host of [a, b, b]) assert.deepEqual(await tell(host), []);
    assert.deepEqual((await a.store.networkSince(app.id, undefined))?.revision, revision);
    for (const host of [a, b]) await host.recover();
    assert.deepEqual(a.endpoints(app), b.endpoints(app));
    const given = new Set(a.endpoints(app).flatMap(({ addresses }) => addresses));
    for (let i = 0; i < 20; i++) {
      const { addresses } = await a.attach(app, `n${i}`);
      for (const address of addresses) assert.ok(!given.has(address), `${address} twice`);
      for (const address of addresses) given.add(address);
    }
  }
});

test('what both claim stays with who is in the store; the other is told, each time it asks', async () => {
  const { name, a } = await two();
  const small = await a.store.networkCreate(networkWish('small', { subnets: [cidr('10.9.0.0/24')] }), []);
  await a.mirror.refresh();
  await a.attach(small, 'first');
  const back = await dump(name);
  const mine: Record<string, Endpoint> = {};
  for (const what of ['address', 'name', 'mac', 'fine']) mine[what] = await a.attach(small, what);
  await back();
  const b = await Host.join(redis, name, 'late');
  await b.attach(small, 'x', { addresses: mine.address?.addresses ?? [] });
  await b.attach(small, 'name', { addresses: [ip('10.9.0.100')] });
  await b.attach(small, 'y', { addresses: [ip('10.9.0.101')], mac: mine.mac?.mac as never });
  const holder = (name: string) => b.endpoints(small).find((each) => each.name === name)?.id;
  await a.recover();
  const expected = [
    [mine.address?.id, 'address_taken', holder('x')],
    [mine.name?.id, 'name_taken', holder('name')],
    [mine.mac?.id, 'mac_taken', holder('y')],
  ].sort();
  assert.deepEqual(a.recovery.conflicts.map(({ id, code, holder }) => [id, code, holder]).sort(), expected);
  assert.deepEqual(a.recovery.conflicts.map((each) => each.name).sort(), ['address', 'mac', 'name']);
  assert.deepEqual(
    a
      .endpoints(small)
      .map((each) => each.name)
      .sort(),
    ['fine', 'first', 'name', 'x', 'y'],
  );
  // An agent that died before it could say so asks again.
  const claim = { ...a.claim(small), revision: { incarnation: 'nobody knows', n: 1 } };
  const again = await b.restarted();
  await again.recover();
  assert.deepEqual(again.endpoints(small), a.endpoints(small));
  assert.equal((await a.store.networkRestore(small, { ...claim, mine: Object.values(mine) })).length, 3);
});

test('a subnet that is another by now: outside_subnet', async () => {
  const { name, a } = await two();
  const net = await a.store.networkCreate(networkWish('small', { subnets: [cidr('10.9.0.0/24')] }), []);
  await a.mirror.refresh();
  const made = await a.attach(net, 'e1', { addresses: [ip('10.9.0.200')] });
  const claim = a.claim(net);
  await wipe(name);
  await a.store.registryRestore(a.view, a.node.id);
  const lost = await a.store.networkRestore({ ...net, subnets: [cidr('10.9.0.0/26')] }, claim);
  assert.deepEqual(lost, [{ kind: 'endpoint', id: made.id, code: 'outside_subnet', holder: '-' }]);
});

test('a slot that fell back: what its node detached since goes, what it attached since comes', async () => {
  const { name, a, b, app } = await two();
  const old = await a.attach(app, 'old');
  const stays = await b.attach(app, 'stays');
  const back = await dump(name);
  await a.detach(old);
  const fresh = await a.attach(app, 'fresh');
  for (const host of [a, b]) await host.mirror.refresh();
  await back();
  await a.recover();
  await b.recover();
  // a had to hear of b's speaking, not to speak again.
  await a.mirror.refresh();
  for (const host of [a, b])
    assert.deepEqual(new Set(host.endpoints(app).map(({ id }) => id)), new Set([stays.id, fresh.id]));
  const next = await a.attach(app, 'next');
  assert.ok(!next.addresses.some((address) => [...old.addresses, ...fresh.addresses].includes(address)));
});

test('only the first loss begins a new incarnation; another does again', async () => {
  const { name, a, b, app } = await two();
  await a.attach(app, 'e1');
  await b.attach(app, 'e2');
  for (const host of [a, b]) await host.mirror.refresh();
  const seen = [a.view.followed.get(app.id)?.revision.incarnation];
  for (let round = 0; round < 3; round++) {
    await wipe(name);
    for (const host of [a, b]) await host.recover();
    for (const host of [a, b]) await host.mirror.refresh();
    const [of, its] = [a, b].map((host) => host.view.followed.get(app.id)?.revision.incarnation);
    assert.equal(of, its);
    assert.ok(!seen.includes(of));
    seen.push(of);
    assert.equal(a.endpoints(app).length, 2);
  }
});

test('others stay as ghosts until they speak, their addresses rest, and nobody is given any before', async () => {
  const { name, a, b, app } = await two();
  const [one, theirs] = [await a.attach(app, 'one'), await b.attach(app, 'theirs')];
  for (const host of [a, b]) await host.mirror.refresh();
  await wipe(name);
  await a.recover();
  assert.deepEqual(
    a
      .endpoints(app)
      .map(({ id }) => id)
      .sort(),
    [one.id, theirs.id].sort(),
  );
  assert.deepEqual([...(a.view.followed.get(app.id)?.ghosts ?? [])], [theirs.id]);
  await fails(a.attach(app, 'early'), 'store_lost_writes', new RegExp(b.node.id));
  // The next agent of a knows it too, and so does one that must read the whole.
  const a2 = await a.restarted();
  assert.deepEqual([...(a2.view.followed.get(app.id)?.ghosts ?? [])], [theirs.id]);
  await redis.server.admin.xtrim(`warren:{${name}/${app.id}}:changes`, 'MAXLEN', 0);
  await redis.server.admin.hincrby(`warren:{${name}/${app.id}}:meta`, 'rev', 1);
  await a2.mirror.refresh();
  assert.equal(a2.endpoints(app).length, 2);
  // b does not come: after the time of waiting a gives out addresses again, not b's.
  await redis.server.admin.hset(`warren:{${name}/${app.id}}:meta`, 'awaitedUntil', '1');
  for (let i = 0; i < 10; i++) {
    const { addresses } = await a2.attach(app, `late${i}`);
    assert.ok(!addresses.some((address) => theirs.addresses.includes(address)));
  }
  const told: unknown[] = [];
  a2.mirror.onChange(({ change }) => told.push([change?.kind, change?.id]));
  await b.recover();
  await a2.mirror.refresh();
  assert.deepEqual([...(a2.view.followed.get(app.id)?.ghosts ?? [1])], []);
  assert.deepEqual(told, [['endpoint', theirs.id]]);
  assert.deepEqual(a2.endpoints(app), b.endpoints(app));
});

test('a ghost goes when its node speaks without it, is removed, or somebody has its address', async () => {
  const { name, a, b, app } = await two();
  const c = await Host.join(redis, name, 'c');
  await a.attach(app, 'mine');
  const ghosts = [await b.attach(app, 'b1'), await b.attach(app, 'b2'), await c.attach(app, 'c1')];
  await a.mirror.refresh();
  await b.mirror.refresh();
  await wipe(name);
  await a.recover();
  const left = () =>
    a
      .endpoints(app)
      .filter(({ node }) => node !== a.node.id)
      .map((each) => each.name);
  assert.equal(left().length, 3);
  await redis.server.admin.hset(`warren:{${name}/${app.id}}:meta`, 'awaitedUntil', '1');
  await a.attach(app, 'taker', { addresses: ghosts[0]?.addresses ?? [] });
  assert.deepEqual(left().sort(), ['b2', 'c1']);
  await a.store.nodeRemove(c.node.id);
  await a.mirror.refresh();
  assert.deepEqual(left(), ['b2']);
  // Detaching one tells everybody, though the store does not have it.
  await a.store.endpointDetach(app.id, ghosts[1]?.id as never);
  await a.mirror.refresh();
  assert.deepEqual(left(), []);
  b.netns.delete(ghosts[1]?.netns ?? '');
  await b.recover();
  await a.mirror.refresh();
  assert.deepEqual(left(), []);
  assert.deepEqual(
    b.recovery.conflicts.map(({ name, code }) => [name, code]),
    [['b1', 'address_taken']],
  );
});

test('a removed network’s slot is not opened again; an older agent may not speak', async () => {
  const { a, app } = await two();
  const made = await a.attach(app, 'e1');
  const claim = a.claim(app);
  await a.store.nodeStart(a.node.id, a.node, 1000);
  await a.store.endpointReady(app.id, made.id, a.node.epoch + 1);
  await fails(a.store.networkRestore(app, claim), 'stale_epoch');
  await a.store.networkRemove(app.id, true);
  const lost = await a.store.networkRestore(app, claim);
  assert.deepEqual(
    lost.map(({ id, code }) => [id, code]),
    [[made.id, 'network_closing']],
  );
});

test('the registry alone is lost, the slots are there: nobody is told of a loss, and attaching works', async () => {
  const { name, a, b, app } = await two();
  await a.attach(app, 'e1');
  await b.attach(app, 'e2');
  for (const host of [a, b]) await host.mirror.refresh();
  const before = await content(redis, name, `/${app.id}`);
  await redis.server.admin.del(...(await redis.server.admin.keys(`warren:{${name}}:*`)));
  await a.recover();
  assert.deepEqual(await content(redis, name, `/${app.id}`), before);
  await a.attach(app, 'e3');
  await b.recover();
  assert.equal(b.endpoints(app).length, 3);
  assert.equal(b.view.followed.get(app.id)?.ghosts?.size, 0);
});

test('after random wishes, a loss and recovery, the store holds what its owners hold, and no address twice', async (t) => {
  const seed = Number(process.env.SEED ?? Date.now() % 1e9);
  t.diagnostic(`seed ${seed}`);
  const next = random(seed);
  const { name } = await redis.cluster({ cooldownMs: 5 });
  const hosts = [
    await Host.join(redis, name, 'a'),
    await Host.join(redis, name, 'b'),
    await Host.join(redis, name, 'c'),
  ];
  const pick = <T>(list: readonly T[]): T | undefined => list[next(list.length || 1)];
  const own = (host: Host) =>
    [...host.view.followed.values()]
      .flatMap(({ endpoints }) => [...endpoints.values()])
      .filter(({ node }) => node === host.node.id);
  let count = 0;
  let given = 0;
  const wish = async (host: Host): Promise<void> => {
    const step = next(100);
    await host.mirror.refresh();
    const network = pick([...host.view.networks.values()]);
    if (step < 12 || !network) {
      const subnets = next(2) ? [] : [cidr(`10.${next(100)}.${next(250)}.0/26`)];
      await host.store
        .networkCreate(networkWish(`n${count++}`, { subnets }), [])
        .catch((error) => assert.equal(error.exit, 4));
    } else if (step < 15 && ![...network.members].length) await host.store.networkRemove(network.id, false);
    else if (step < 75)
      await host.attach(network, `e${count++}`).then(
        () => given++,
        (error) => assert.equal(error.code, 'address_exhausted'),
      );
    else {
      const gone = pick(own(host));
      if (gone) await host.detach(gone);
    }
  };
  for (let rounds = process.env.WARREN_LONG ? 60 : 6; rounds > 0; rounds--) {
    for (let i = 0; i < 40; i++) await wish(pick(hosts) as Host);
    const back = next(2) ? await dump(name) : () => wipe(name);
    for (let i = next(30); i > 0; i--) await wish(pick(hosts) as Host);
    for (const host of hosts) await host.mirror.refresh();
    const owned = new Map(hosts.flatMap((host) => own(host).map((each) => [each.id, each] as const)));
    const networks = new Map(hosts.flatMap((host) => [...host.view.networks]));
    await back();
    const order = [...hosts].sort(() => next(3) - 1);
    const seen = new Map(
      hosts.map((host) => [host, [...host.view.followed.values()].map(({ endpoints }) => [...endpoints.keys()])]),
    );
    if (next(2)) await Promise.all(order.map((host) => host.recover()));
    else
      for (const host of order) {
        await host.recover();
        // Nobody vanishes from the view of whoever is through, whoever is still missing.
        const now = new Set([...host.view.followed.values()].flatMap(({ endpoints }) => [...endpoints.keys()]));
        for (const id of seen.get(host)?.flat() ?? []) assert.ok(now.has(id), `seed ${seed}: ${id} vanished`);
      }
    // Others' recoveries may be news: a loss noticed late, or ghosts to let go.
    for (const host of [...hosts, ...hosts]) await host.recover();
    const there = (await hosts[0]?.store.registrySince(undefined)) ?? assert.fail();
    assert.ok(there.kind === 'snapshot');
    for (const network of networks.values())
      assert.ok(
        there.snapshot.networks.some(({ id }) => id === network.id),
        `seed ${seed}`,
      );
    const lists = await Promise.all(there.snapshot.networks.map(({ id }) => hosts[0]?.store.endpoints(id) ?? []));
    const stored = new Map(lists.flat().map((each) => [each.id, each]));
    assert.deepEqual(new Map([...stored].sort()), new Map([...owned].sort()), `seed ${seed}`);
    for (const host of hosts) {
      assert.deepEqual(host.recovery.conflicts, [], `seed ${seed}`);
      for (const [id, { endpoints, ghosts }] of host.view.followed) {
        assert.equal(ghosts?.size, 0, `seed ${seed}`);
        const expected = [...owned.values()].filter(({ network }) => network === id).map((each) => each.id);
        assert.deepEqual([...endpoints.keys()].sort(), expected.sort(), `seed ${seed}`);
      }
    }
    for (const list of lists) {
      const addresses = list.flatMap((each) => each.addresses);
      assert.equal(new Set(addresses).size, addresses.length, `seed ${seed}`);
    }
    const { store, view } = hosts[0] ?? assert.fail();
    const look = async (repair: boolean) =>
      (await checkNetworks(store, view, there.snapshot.networks, repair)).networks.flatMap(({ findings }) => findings);
    await look(true);
    assert.deepEqual(await look(false), [], `seed ${seed}: something is left after the repair`);
    await sleep(10);
  }
  t.diagnostic(`${given} endpoints attached, none with another's address`);
  for (const host of hosts) await host.mirror.close();
});

test('an agent that runs recovers by itself, and says what it is waiting for', async () => {
  const { name, a, app } = await two();
  const made = await a.attach(app, 'e1');
  a.recovery.watch(assert.fail);
  await wipe(name);
  await fails(a.mirror.refresh(''), 'store_lost_writes');
  for (let i = 0; a.mirror.frozen; i++) {
    assert.ok(i < 300, 'never thawed');
    await sleep(10);
  }
  assert.ok(a.recovery.recoveredAt);
  assert.deepEqual(await a.store.endpoints(app.id), [made]);
  await a.recovery.stop();
});
