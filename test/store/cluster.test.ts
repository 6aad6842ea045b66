import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newId } from '../../src/model/id.ts';
import { waitFor } from '../support/wait.ts';
import { clusterWish, fails, ip, nodeWish, withRedis } from './fixture.ts';

const redis = withRedis();
const facts = { underlay: ip('192.0.2.7'), underlayMtu: 9000, routes: [], version: '0.2.0' };

test('two at once make one cluster and get the same answer', async () => {
  const stores = Array.from({ length: 8 }, () => redis.open('race'));
  const made = await Promise.all(stores.map((store) => store.clusterInit({ ...clusterWish, name: 'race' })));
  assert.equal(made.filter(({ created }) => created).length, 1);
  for (const { cluster } of made) assert.deepEqual(cluster, made[0]?.cluster);
  const again = await stores[0]?.clusterInit({ ...clusterWish, dataPort: 9999 });
  assert.equal(again?.created, false);
  assert.equal(again?.cluster.dataPort, 4789);
});

test('a store without the cluster has none, and says so', async () => {
  const store = redis.open('nobody');
  assert.equal(await store.cluster(), undefined);
  await fails(store.nodeRegister(nodeWish('n1')), 'not_initialized');
  await fails(store.leases(), 'not_initialized');
  await fails(store.registrySince(undefined), 'not_initialized');
});

test('another layout is refused by reads and writes', async () => {
  const { store, name } = await redis.cluster();
  await redis.server.admin.hset(`warren:{${name}}:meta`, 'schema', '99');
  await fails(store.cluster(), 'store_schema', /layout 99/);
  await fails(store.nodeRegister(nodeWish('n1')), 'store_schema');
  await fails(store.registrySince(undefined), 'store_schema');
  await fails(store.clusterInit(clusterWish), 'store_schema');
  await fails(store.leases(), 'store_schema');
});

test('a store that was emptied and made again is not written to by who knew the old one', async () => {
  const { store, name } = await redis.cluster();
  const wish = nodeWish('n1');
  await store.nodeRegister(wish);
  await redis.server.admin.del(`warren:{${name}}:meta`);
  await fails(store.nodeRegister(wish), 'store_lost_writes');
  await redis.open(name).clusterInit({ ...clusterWish, name });
  await fails(store.nodeRegister(wish), 'store_lost_writes');
  await fails(store.nodeRenew(wish.id, 0, 1000), 'store_lost_writes');
  // Saying init again is what accepts the new one.
  await store.clusterInit({ ...clusterWish, name });
  await store.nodeRegister(wish);
});

test('registering twice changes nothing; index, epoch and time of joining stay', async () => {
  const { store } = await redis.cluster();
  const wish = nodeWish('n1', { routes: ['10.0.0.0/24' as never] });
  const first = await store.nodeRegister(wish);
  assert.deepEqual(first, { ...wish, index: 1, epoch: 0 });
  const before = (await store.registrySince(undefined)).revision;
  assert.deepEqual(await store.nodeRegister(wish), first);
  assert.deepEqual((await store.registrySince(undefined)).revision, before);
  await store.nodeStart(wish.id, facts, 1000);
  const moved = await store.nodeRegister({ ...wish, name: 'n1b', joinedAt: '2027-01-01T00:00:00.000Z' });
  assert.deepEqual(moved, { ...wish, name: 'n1b', index: 1, epoch: 1 });
  // The old name is free again.
  assert.equal((await store.nodeRegister(nodeWish('n1'))).index, 2);
});

test('names are unique, indexes are not reused at once', async () => {
  const { store } = await redis.cluster();
  const one = await store.nodeRegister(nodeWish('n1'));
  const two = await store.nodeRegister(nodeWish('n2'));
  await fails(store.nodeRegister(nodeWish('n1')), 'name_taken', new RegExp(one.id));
  assert.equal(await store.nodeRemove(one.id), true);
  assert.equal(await store.nodeRemove(one.id), false);
  const three = await store.nodeRegister(nodeWish('n1'));
  assert.deepEqual([one.index, two.index, three.index], [1, 2, 3]);
});

test('all indexes are given out, then none, then the removed one', async () => {
  const { store, name } = await redis.cluster();
  const last = await store.nodeRegister(nodeWish('first'));
  // The rest, as if 16,382 others had registered.
  await redis.server.admin.set(`warren:{${name}}:node-indexes`, Buffer.alloc(2048, 0xff));
  await fails(store.nodeRegister(nodeWish('n2')), 'index_exhausted', /16383/);
  await store.nodeRemove(last.id);
  assert.equal((await store.nodeRegister(nodeWish('n2'))).index, 1);
});

test('each start is a new epoch and shuts the older agent out', async () => {
  const { store } = await redis.cluster();
  const { id } = await store.nodeRegister(nodeWish('n1'));
  const one = await store.nodeStart(id, facts, 1000);
  assert.deepEqual(
    { epoch: one.epoch, ...facts },
    { epoch: 1, underlay: one.underlay, underlayMtu: one.underlayMtu, routes: one.routes, version: one.version },
  );
  await store.nodeRenew(id, 1, 1000);
  const two = await store.nodeStart(id, { ...facts, routes: ['10.1.0.0/16' as never] }, 1000);
  assert.equal(two.epoch, 2);
  assert.deepEqual(two.routes, ['10.1.0.0/16']);
  assert.equal(two.name, 'n1');
  await fails(store.nodeRenew(id, 1, 1000), 'stale_epoch');
  await store.nodeRenew(id, 2, 1000);
  // An epoch the store never gave out means that it forgot one.
  await fails(store.nodeRenew(id, 3, 1000), 'store_lost_writes');
  const unknown = newId<'node'>();
  await fails(store.nodeRenew(unknown, 1, 1000), 'node_not_found');
  await fails(store.nodeStart(unknown, facts, 1000), 'node_not_found');
});

test('whoever renews his lease hears who has not renewed his, and how long ago', async () => {
  const { store } = await redis.cluster();
  const [a, b, c] = [await store.nodeRegister(nodeWish('a')), await store.nodeRegister(nodeWish('b')), nodeWish('c')];
  await store.nodeStart(a.id, facts, 1000);
  await store.nodeStart(b.id, facts, 1000);
  assert.deepEqual([...(await store.nodeRenew(a.id, 1, 1000, 60_000))], []);
  await store.nodeRegister(c);
  await waitFor(async () => (await store.nodeRenew(a.id, 1, 1000, 50)).has(b.id), { what: 'b to be late' });
  const quiet = await store.nodeRenew(a.id, 1, 1000, 50);
  assert.deepEqual([...quiet.keys()].sort(), [b.id, c.id].sort());
  assert.ok((quiet.get(b.id) ?? 0) >= 50);
  assert.equal(quiet.get(c.id), Number.POSITIVE_INFINITY, 'one that never started');
  await store.nodeRenew(b.id, 1, 1000);
  assert.ok(!(await store.nodeRenew(a.id, 1, 1000, 60_000)).has(b.id));
});

test('two hosts with one identity: the second is refused while the first lives', async () => {
  const { store } = await redis.cluster();
  const { id } = await store.nodeRegister(nodeWish('n1'));
  await store.nodeStart(id, facts, 300, 'boot-1');
  await store.nodeRenew(id, 1, 300);
  await fails(store.nodeStart(id, facts, 300, 'boot-2'), 'identity_in_use', /last seen at 20/);
  assert.equal((await store.nodeStart(id, facts, 300, 'boot-1')).epoch, 2, 'its own agent starts again');
  await waitFor(() => store.nodeStart(id, facts, 300, 'boot-2').then(() => true), { what: 'the lease to lapse' });
  await fails(store.nodeRenew(id, 2, 300), 'stale_epoch');
});

test('what a node can encrypt with is told anew at every start, or no longer', async () => {
  const { store } = await redis.cluster();
  const identity = 'A_-'.padEnd(43, 'x');
  const able = { ...facts, identity, encryption: { ciphers: ['aes-256-gcm'], fastAes: true } };
  const plain = await store.nodeRegister(nodeWish('n1'));
  assert.ok(!('identity' in plain) && !('encryption' in plain));
  const wish = nodeWish('n2', able);
  const node = await store.nodeRegister(wish);
  assert.deepEqual(node, { ...wish, index: 2, epoch: 0 });
  assert.deepEqual(await store.nodeRegister(wish), node);
  const known = async () => {
    const whole = await store.registrySince(undefined);
    return whole.kind === 'snapshot' && whole.snapshot.nodes.find(({ id }) => id === wish.id);
  };
  assert.deepEqual(await known(), node);
  const { encryption: _, identity: __, ...unable } = { ...wish, ...facts };
  assert.deepEqual(await store.nodeStart(wish.id, facts, 1000), { ...unable, index: 2, epoch: 1 });
  assert.deepEqual(await store.nodeStart(wish.id, able, 1000), { ...node, epoch: 2 });
  // None is something to say: it encrypts nothing, though it has an identity.
  const none = { ...able, encryption: { ciphers: [], fastAes: false } };
  assert.deepEqual(await store.nodeStart(wish.id, none, 1000), { ...node, ...none, epoch: 3 });
  assert.deepEqual(await known(), { ...node, ...none, epoch: 3 });
});

test('what has changed on a host is told by its newest agent only, and brings back no removed node', async () => {
  const { store } = await redis.cluster();
  const { id } = await store.nodeRegister(nodeWish('n1'));
  const node = await store.nodeStart(id, facts, 1000);
  const { revision } = await store.registrySince(undefined);
  assert.deepEqual(await store.nodeRefresh(id, 1, node), node);
  assert.deepEqual((await store.registrySince(undefined)).revision, revision, 'nothing new is no change');
  const moved = { ...facts, underlayMtu: 1400, identity: 'x'.repeat(43) };
  assert.deepEqual(await store.nodeRefresh(id, 1, moved), { ...node, ...moved });
  const delta = await store.registrySince(revision);
  assert.deepEqual(delta.kind === 'changes' && delta.changes, [{ kind: 'node', id, value: { ...node, ...moved } }]);
  await store.nodeStart(id, facts, 1000);
  await fails(store.nodeRefresh(id, 1, moved), 'stale_epoch');
  await fails(store.nodeRefresh(id, 3, moved), 'store_lost_writes');
  await store.nodeRemove(id);
  await fails(store.nodeRefresh(id, 2, moved), 'node_not_found');
  const whole = await store.registrySince(undefined);
  assert.deepEqual(whole.kind === 'snapshot' && whole.snapshot.nodes, []);
});

test('a lease lapses by the clock of the store, renewing makes no revision', async () => {
  const { store } = await redis.cluster();
  const { id } = await store.nodeRegister(nodeWish('n1'));
  assert.deepEqual(await store.leases(), []);
  await store.nodeStart(id, facts, 50);
  const { revision } = await store.registrySince(undefined);
  const [lease] = await store.leases();
  assert.deepEqual({ ...lease, lastSeen: '' }, { node: id, epoch: 1, lastSeen: '', alive: true });
  assert.ok(Math.abs(Date.parse(lease?.lastSeen ?? '') - Date.now()) < 5000);
  await new Promise((resolve) => setTimeout(resolve, 80));
  assert.equal((await store.leases())[0]?.alive, false);
  await store.nodeRenew(id, 1, 1000);
  assert.equal((await store.leases())[0]?.alive, true);
  assert.deepEqual((await store.registrySince(undefined)).revision, revision);
  await store.nodeRemove(id);
  assert.deepEqual(await store.leases(), []);
});
