/** What was saved comes back, whoever runs meanwhile; test/lab/store.test.ts shows the same on real hosts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { backup, parseBackup, restore } from '../../src/control/backup.ts';
import type { Store } from '../../src/store/store.ts';
import { cidr, fails, networkWish, nodeWish, serviceWish, withRedis } from './fixture.ts';
import { content, Host } from './host.ts';

const redis = withRedis();
const saved = async (store: Store) => parseBackup(JSON.stringify(await backup(store)));

async function made() {
  const { name, store } = await redis.cluster();
  const [a, b] = [await Host.join(redis, name, 'a'), await Host.join(redis, name, 'b')];
  const app = await store.networkCreate(networkWish('app', { subnets: [cidr('10.9.0.0/16'), cidr('fd09::/64')] }), []);
  const idle = await store.networkCreate(networkWish('idle'), []);
  await a.mirror.refresh();
  await b.mirror.refresh();
  await store.serviceCreate(app, serviceWish(app, 'web'));
  await store.serviceCreate(idle, serviceWish(idle, 'db'));
  const [a1, b1] = [await a.attach(app, 'a1'), await b.attach(app, 'b1')];
  await store.clusterLimit({ networks: 7 });
  for (const host of [a, b]) await host.mirror.refresh();
  return { name, store, a, b, app, idle, a1, b1 };
}
const slots = ({ name, app, idle }: Awaited<ReturnType<typeof made>>) =>
  Promise.all(['', `/${app.id}`, `/${idle.id}`].map((slot) => content(redis, name, slot)));
/** Their leases end. */
const silence = ({ name }: { name: string }) => redis.server.admin.del(`warren:{${name}}:leases`);

test('with nobody there to tell, all of it comes back as it was, in a new incarnation', async () => {
  const world = await made();
  const { store } = world;
  const [text, before] = [await saved(store), await slots(world)];
  const incarnation = (await store.cluster())?.incarnation;
  for (const harm of ['emptied', 'changed'] as const) {
    if (harm === 'emptied') await store.clusterErase([]);
    else {
      await store.networkCreate(networkWish('since'), []);
      await store.networkRemove(world.idle.id, true);
      await silence(world);
    }
    const result = await restore(store, text, harm === 'changed');
    assert.deepEqual(
      [result.conflicts, result.alive, result.networks, result.endpoints, result.services],
      [[], [], 2, 2, 2],
      harm,
    );
    assert.deepEqual(await slots(world), before, harm);
    assert.notEqual((await store.cluster())?.incarnation, incarnation);
    assert.deepEqual((await store.cluster())?.limits, { networks: 7 });
  }
});

test('who runs tells what he holds now; for who does not the backup speaks', async () => {
  const world = await made();
  const { store, a, b, app, a1, b1 } = world;
  const text = await saved(store);
  await a.detach(a1);
  const a2 = await a.attach(app, 'a2');
  await b.store.nodeRenew(b.node.id, b.node.epoch, 1); // its agent ends
  await store.nodeRenew(a.node.id, a.node.epoch, 60_000);
  const result = await restore(store, text, true);
  assert.deepEqual([result.alive, result.conflicts], [['a'], []]);
  await a.recover();
  const names = (await store.endpoints(app.id)).map(({ name, addresses }) => [name, `${addresses}`]).sort();
  assert.deepEqual(names, [
    ['a2', `${a2.addresses}`],
    ['b1', `${b1.addresses}`],
  ]);
  assert.deepEqual(
    a
      .endpoints(app)
      .map(({ name }) => name)
      .sort(),
    ['a2', 'b1'],
    'a never lost sight of b1',
  );
  await store.nodeRenew(b.node.id, b.node.epoch, 1000);
});

test('what is there is not replaced unasked, and a backup that is none changes nothing', async () => {
  const world = await made();
  const { store } = world;
  const [text, before] = [await saved(store), await slots(world)];
  await fails(restore(store, text, false), 'already_initialized', /has 2 networks/);
  const other = await redis.cluster();
  await fails(restore(other.store, text, true), 'invalid_input', /is of cluster/);
  const one = JSON.parse(JSON.stringify(text));
  for (const [harm, pattern] of [
    ['', /not JSON/],
    ['[]', /no backup/],
    [JSON.stringify({ ...one, format: 2 }), /format/],
    [JSON.stringify({ ...one, nodes: [{ id: 'x' }] }), /nodes\.0/],
    [JSON.stringify(one).replace('10.9.0.', '10.9.'), /networks/],
  ] as const)
    assert.throws(() => parseBackup(harm), pattern, harm.slice(0, 40));
  const meta = `warren:{${world.name}}:meta`;
  await redis.server.admin.hset(meta, 'schema', '99');
  await fails(store.clusterErase([]), 'store_schema');
  await fails(restore(store, text, true), 'store_schema');
  await redis.server.admin.hset(meta, 'schema', '2');
  assert.deepEqual(await slots(world), before);
});

test('join tokens stay what they are, and are in no backup', async () => {
  const { store } = await made();
  const id = await store.tokenIssue({ id: 'token-that-is-looked-for', role: 'worker' });
  const text = JSON.stringify(await backup(store));
  assert.ok(!text.includes(id));
  await restore(store, parseBackup(text), true);
  assert.equal(await store.tokenTake(id, 'worker'), 'ok');
  await store.nodeRegister(nodeWish('c'));
});
