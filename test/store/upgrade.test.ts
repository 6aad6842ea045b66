/** Agents of two versions side by side, and what becomes of the store when the older one is gone. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { NodeId } from '../../src/model/id.ts';
import type { Facts } from '../../src/model/node.ts';
import { schema } from '../../src/store/keys.ts';
import { Mirror } from '../../src/store/mirror.ts';
import type { Store } from '../../src/store/store.ts';
import { attach, fails, ip, networkWish, nodeWish, serviceWish, withRedis } from './fixture.ts';

const redis = withRedis();
const facts: Facts = { underlay: ip('192.0.2.1'), underlayMtu: 1500, routes: [], version: '0.1.0' };
const newest = { ...facts, layout: schema.registry };

/** As a version that knew layout 1 only has made it. */
async function older() {
  const { store, name } = await redis.cluster();
  const key = (what: string) => `warren:{${name}}:${what}`;
  await redis.server.admin.hset(key('meta'), 'schema', '1');
  return { store, name, key };
}

const quiet = async (store: Store, node: NodeId, ms: number) =>
  new Map([...(await store.nodeRenew(node, 1, 1000, ms))].map(([id, age]) => [id, age === Infinity ? 'never' : 'old']));

test('an older layout is written as it is, and is the newest once every agent knows that', async () => {
  const { store, key } = await older();
  const [a, b, c] = [nodeWish('a'), nodeWish('b'), nodeWish('c')];
  for (const wish of [a, b, c]) await store.nodeRegister(wish);
  await store.nodeStart(a.id, newest, 1000);
  await store.nodeStart(b.id, facts, 1000);
  const mirror = new Mirror(store);
  await mirror.start();
  assert.equal(mirror.view?.cluster.layout, 1);
  // In either layout the same is told of leases.
  const told = async () => [await quiet(store, a.id, 60_000), await quiet(store, a.id, -1)];
  const expected = [
    new Map([[c.id, 'never']]),
    new Map([
      [b.id, 'old'],
      [c.id, 'never'],
    ]),
  ];
  assert.deepEqual(await told(), expected);
  assert.deepEqual((await store.registryUpgrade()).toSorted(), [b.id, c.id].toSorted());
  assert.equal(await redis.server.admin.exists(key('seen')), 0);
  assert.equal((await store.cluster())?.layout, 1);

  await store.nodeRefresh(b.id, 1, newest);
  assert.deepEqual(await store.registryUpgrade(), [c.id]);
  await store.nodeRemove(c.id);
  await store.nodeRegister({ ...c, ...newest });
  assert.deepEqual(await store.registryUpgrade(), []);
  assert.equal((await store.cluster())?.layout, schema.registry);
  assert.deepEqual(await told(), expected);
  await mirror.refresh('');
  assert.equal(mirror.view?.cluster.layout, schema.registry, 'it is told as a change');
  const { revision } = await store.registrySince(undefined);
  assert.deepEqual(await store.registryUpgrade(), []);
  assert.deepEqual((await store.registrySince(undefined)).revision, revision, 'again changes nothing');
  await mirror.close();
});

test('whoever comes or goes is among those whose leases are looked at', async () => {
  const { store, name } = await redis.cluster();
  const seen = async () => (await redis.server.admin.zrange(`warren:{${name}}:seen`, '0', '-1')).toSorted();
  const [a, b] = [nodeWish('a', newest), nodeWish('b', newest)];
  await store.nodeRegister(a);
  await store.nodeStart(a.id, newest, 1000);
  await store.nodeRegister(b);
  assert.deepEqual(await seen(), [a.id, b.id].toSorted());
  assert.deepEqual(await quiet(store, a.id, 60_000), new Map([[b.id, 'never']]));
  await store.nodeRegister(a); // again: it has been seen all the same
  await store.nodeStart(b.id, newest, 1000);
  assert.deepEqual(await quiet(store, b.id, 60_000), new Map());
  await store.nodeRemove(b.id);
  assert.deepEqual(await seen(), [a.id]);
});

test('a store that was emptied is made again in the layout that the others still know', async () => {
  const { store, name, key } = await older();
  const [a, b] = [nodeWish('a', newest), nodeWish('b')];
  const node = await store.nodeRegister(a);
  await store.nodeRegister(b);
  const mirror = new Mirror(store);
  await mirror.start();
  const view = mirror.view ?? assert.fail();
  await redis.server.admin.flushall();
  assert.equal((await store.registryRestore(view, node.id)).made, true);
  assert.deepEqual(
    [await redis.server.admin.hget(key('meta'), 'schema'), await redis.server.admin.exists(key('seen'))],
    ['1', 0],
  );
  await store.nodeRemove(b.id);
  assert.deepEqual(await store.registryUpgrade(), []);
  const after = await redis.open(name).registrySince(undefined);
  const upgraded = after.kind === 'snapshot' ? after.snapshot.cluster : assert.fail();
  await redis.server.admin.flushall();
  await store.registryRestore({ ...view, cluster: upgraded, revision: after.revision }, node.id);
  assert.equal((await store.cluster())?.layout, schema.registry);
  assert.deepEqual((await redis.server.admin.zrange(key('seen'), '0', '-1')).toSorted(), [a.id, b.id].toSorted());
  await mirror.close();
});

test('what a later version adds to a document stays through all that this one does', async () => {
  const { store, name } = await redis.cluster();
  const { admin } = redis.server;
  const wish = nodeWish('a', newest);
  await store.nodeRegister(wish);
  const net = await store.networkCreate(networkWish('app', { subnets: ['10.9.0.0/24'] as never }), []);
  const service = await store.serviceCreate(net, serviceWish(net, 'web'));
  const { id } = await attach(store, net, 'e', { node: wish.id });
  const slot = `warren:{${name}/${net.id}}`;
  const documents = [
    [`warren:{${name}}:nodes`, wish.id],
    [`warren:{${name}}:networks`, net.id],
    [`${slot}:endpoints`, id],
    [`${slot}:services`, service.id],
  ] as const;
  const line = '\n"later":{"list":[],"text":"}"},';
  for (const [key, field] of documents) {
    const text = (await admin.hget(key, field)) ?? '';
    const last = text.lastIndexOf('\n');
    await admin.hset(key, field, text.slice(0, last) + line + text.slice(last));
  }
  await store.nodeStart(wish.id, newest, 1000);
  await store.nodeRefresh(wish.id, 1, { ...newest, underlayMtu: 9000 });
  await store.nodeDrain(wish.id, true);
  await store.nodeDrain(wish.id, false);
  await store.nodeRegister({ ...wish, name: 'renamed' });
  await store.nodeRenew(wish.id, 1, 1000);
  await store.networkJoin(net.id, wish.id);
  await store.networkUpdate(net.id, { subnets: ['10.9.0.0/16'] as never, labels: { a: 'b' } }, []);
  await store.networkPublish(net.id, service.id, [{ service: service.id, mode: 'ingress', port: 8080, proto: 'tcp' }]);
  await store.endpointReady(net.id, id, 1);
  const backend = { service: service.id, weight: 2, healthy: true };
  await store.endpointServe(net.id, id, { backend });
  await store.endpointServe(net.id, id, { expect: service.id, backend, state: 'draining' });
  await store.serviceUpdate(net, { ...service, name: 'front', scheduler: 'wlc' });
  await store.networkLeave(net.id, wish.id);
  for (const [key, field] of documents) {
    const text = (await admin.hget(key, field)) ?? '';
    assert.ok(text.includes(line), `${key}: ${text}`);
    assert.deepEqual(JSON.parse(text).later, { list: [], text: '}' });
  }
  const [endpoint] = await store.endpoints(net.id);
  assert.deepEqual([endpoint?.state, endpoint?.backend?.weight], ['draining', 2]);
  assert.deepEqual((await store.services(net.id))[0]?.vips, service.vips);
  await fails(store.nodeRefresh(wish.id, 0, newest), 'stale_epoch');
});
