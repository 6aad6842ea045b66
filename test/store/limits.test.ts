/** How much there may be in a cluster. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { within } from '../../src/control/limits.ts';
import { WarrenError } from '../../src/model/error.ts';
import { Mirror } from '../../src/store/mirror.ts';
import { attach, fails, networkWish, nodeWish, serviceWish, withRedis } from './fixture.ts';

const redis = withRedis();

test('limits are set one by one, and every mirror hears of them', async () => {
  const { store, name } = await redis.cluster();
  const mirror = new Mirror(store, undefined, { pollMs: 1e6 });
  await mirror.start();
  assert.equal(mirror.view?.cluster.limits, undefined);
  assert.deepEqual(await store.clusterLimit({ networks: 2, endpoints: 5 }), { networks: 2, endpoints: 5 });
  assert.deepEqual(await store.clusterLimit({ networks: null, services: 0 }), { endpoints: 5, services: 0 });
  await mirror.refresh();
  assert.deepEqual(mirror.view?.cluster.limits, { endpoints: 5, services: 0 });
  assert.deepEqual((await redis.open(name).cluster())?.limits, { endpoints: 5, services: 0 });
  const again = new Mirror(store, mirror.save(), { pollMs: 1e6 });
  assert.deepEqual(again.view?.cluster.limits, { endpoints: 5, services: 0 });
  await Promise.all([mirror.close(), again.close()]);
});

test('of networks none is made beyond the limit, however many ask at once', async () => {
  const { store } = await redis.cluster();
  await store.clusterLimit({ networks: 3 });
  const asked = await Promise.allSettled(
    Array.from({ length: 10 }, (_, i) => store.networkCreate(networkWish(`n${i}`), [])),
  );
  assert.equal(asked.filter(({ status }) => status === 'fulfilled').length, 3);
  await fails(store.networkCreate(networkWish('more'), []), 'quota_exceeded', /may have 3 networks, and has them/);
  await store.clusterLimit({ networks: 4 });
  const same = networkWish('more');
  await store.networkCreate(same, []);
  await store.networkCreate(same, []); // the same again is no further one
});

test('of endpoints and services, over all networks, none stays beyond the limit', async () => {
  const { store } = await redis.cluster();
  const node = nodeWish('n1');
  await store.nodeRegister(node);
  const { epoch } = await store.nodeStart(node.id, node, 60_000);
  const nets = await Promise.all(['a', 'b'].map((name) => store.networkCreate(networkWish(name), [])));
  const limits = await store.clusterLimit({ endpoints: 5, services: 1 });
  const one = (i: number) => {
    const net = nets[i % 2] ?? assert.fail();
    const make = () => attach(store, net, `e${i}`, { node: node.id, epoch });
    return within(store, { limits }, 'endpoints', make, ({ id }) => store.endpointDetach(net.id, id));
  };
  const asked = await Promise.allSettled(Array.from({ length: 12 }, (_, i) => one(i)));
  const made = asked.filter(({ status }) => status === 'fulfilled').length;
  for (const each of asked)
    if (each.status === 'rejected') assert.equal((each.reason as WarrenError).code, 'quota_exceeded');
  assert.equal((await store.count()).endpoints, made);
  assert.ok(made <= 5);
  for (let i = made; i < 5; i++) await one(30 + i);
  assert.equal((await store.count()).endpoints, 5, 'one after the other, up to the limit');
  await fails(one(40), 'quota_exceeded', /may have 5 endpoints/);
  const net = nets[0] ?? assert.fail();
  const serve = (name: string) =>
    within(
      store,
      { limits },
      'services',
      () => store.serviceCreate(net, serviceWish(net, name)),
      ({ id }) => store.serviceRemove(net.id, id),
    );
  await serve('web');
  const refused = await fails(serve('db'), 'quota_exceeded', /may have 1 services/);
  assert.ok(refused instanceof WarrenError && refused.exit === 4);
});
