import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newId } from '../../src/model/id.ts';
import { Mirror } from '../../src/store/mirror.ts';
import { attach, endpointWish, fails, ip, networkWish, serviceWish, withRedis } from './fixture.ts';

const redis = withRedis();

async function network(more: Partial<Parameters<typeof networkWish>[1]> = {}) {
  const { store, name } = await redis.cluster();
  return { store, name, net: await store.networkCreate(networkWish('app', more), []) };
}

test('a service gets a virtual IP per family from the pools, and keeps it when it changes and is renamed', async () => {
  const { store, net } = await network();
  const wish = serviceWish(net, 'web', { labels: { a: '{}\n', b: '"' } });
  const made = await store.serviceCreate(net, wish);
  assert.deepEqual(made, { ...wish, vips: ['10.64.0.1', 'fd12:3456:789a:8000::1'] });
  assert.deepEqual(await store.serviceCreate(net, wish), made);
  assert.deepEqual(await store.services(net.id), [made]);
  const changed = { ...made, name: 'front', scheduler: 'wlc' as const };
  assert.deepEqual(await store.serviceUpdate(net, changed), changed);
  await attach(store, net, 'web'); // the old name is free
  await fails(store.serviceUpdate(net, { ...changed, name: 'web' }), 'name_taken');
  await fails(attach(store, net, 'front'), 'name_taken');
  await fails(store.serviceUpdate(net, serviceWish(net, 'other')), 'service_not_found');
  assert.equal(await store.serviceRemove(net.id, wish.id), true);
  assert.equal(await store.serviceRemove(net.id, wish.id), false);
  assert.deepEqual(await store.services(net.id), []);
});

test('virtual IPs are those asked for, each once, and end', async () => {
  const { store, net } = await network({ subnets: ['10.9.0.0/16'] as never });
  const asked = await store.serviceCreate(net, serviceWish(net, 'a', { vips: [ip('10.64.0.2')] }));
  assert.deepEqual(asked.vips, ['10.64.0.2']);
  await fails(
    store.serviceCreate(net, serviceWish(net, 'b', { vips: [ip('10.64.0.2')] })),
    'address_taken',
    /10\.64\.0\.2 is service "a"/,
  );
  const given = new Set<string>();
  for (let i = 0; i < 1021; i++)
    given.add((await store.serviceCreate(net, serviceWish(net, `s${i}`))).vips[0] as string);
  assert.equal(given.size, 1021);
  assert.ok(!given.has('10.64.0.2') && given.has('10.64.3.254') && !given.has('10.64.0.0'));
  await fails(store.serviceCreate(net, serviceWish(net, 'more')), 'address_exhausted');
  await store.serviceRemove(net.id, asked.id);
  assert.deepEqual((await store.serviceCreate(net, serviceWish(net, 'more'))).vips, ['10.64.0.2']);
});

test('an endpoint is a backend of one service: attached as one, made one, drained, and none again', async () => {
  const { store, net } = await network();
  const web = await store.serviceCreate(net, serviceWish(net, 'web'));
  const other = await store.serviceCreate(net, serviceWish(net, 'other'));
  const backend = { service: web.id, weight: 3, healthy: true };
  await fails(attach(store, net, 'x', { backend: { ...backend, service: newId() } }), 'service_not_found');
  const wish = endpointWish(net, 'w1', { backend });
  assert.deepEqual((await store.endpointAttach(net, wish)).backend, backend);
  const ready = await store.endpointReady(net.id, wish.id, 1);
  assert.deepEqual([ready.backend, ready.state], [backend, 'ready']);
  const sick = { ...backend, healthy: false };
  const serve = store.endpointServe.bind(store, net.id, wish.id);
  assert.deepEqual((await serve({ expect: web.id, backend: sick, epoch: 1 }))?.backend, sick);
  assert.equal(await serve({ expect: other.id, backend: sick }), undefined);
  await fails(serve({ backend: { ...backend, service: other.id } }), 'backend_taken', /service "web"/);
  const drained = await serve({ expect: web.id, backend: sick, state: 'draining' });
  assert.equal(drained?.state, 'draining');
  assert.deepEqual((await serve({ backend, state: 'ready' }))?.state, 'ready');
  const none = await serve({ expect: web.id, backend: null, state: 'ready' });
  assert.deepEqual([none?.backend, none?.state], [null, 'ready']);
  assert.equal(await serve({ expect: web.id, backend }), undefined);
  // A backend of a service that was removed is none.
  await serve({ backend });
  await store.serviceRemove(net.id, web.id);
  assert.deepEqual((await serve({ backend: { ...backend, service: other.id } }))?.backend?.service, other.id);
  await store.endpointDetach(net.id, wish.id);
  assert.equal(await serve({ backend: null }), undefined);
});

test('an endpoint that is being attached does not become ready by being served', async () => {
  const { store, net } = await network();
  const web = await store.serviceCreate(net, serviceWish(net, 'web'));
  const { id } = await attach(store, net, 'w1');
  const served = await store.endpointServe(net.id, id, {
    backend: { service: web.id, weight: 1, healthy: true },
    state: 'ready',
  });
  assert.equal(served?.state, 'starting');
});

test('an older agent may not say how its backends are', async () => {
  const { store, net } = await network();
  const { id } = await attach(store, net, 'w1', { epoch: 5 });
  await fails(store.endpointServe(net.id, id, { backend: null, epoch: 4 }), 'stale_epoch');
});

test('a network with services is in use', async () => {
  const { store, net } = await network();
  const web = await store.serviceCreate(net, serviceWish(net, 'web'));
  await fails(store.networkRemove(net.id, false), 'network_in_use', /has 1 service$/);
  await store.serviceRemove(net.id, web.id);
  assert.equal(await store.networkRemove(net.id, false), true);
  await fails(store.serviceCreate(net, serviceWish(net, 'web')), 'network_not_found');
});

test('services are in the view: as a whole, as changes, from disk, and after our own writes at once', async () => {
  const { store, name, net } = await network();
  const web = await store.serviceCreate(net, serviceWish(net, 'web'));
  const mirror = new Mirror(store, undefined, { pollMs: 1_000_000 });
  await mirror.start();
  await mirror.follow(net.id);
  const there = () => [...(mirror.view?.followed.get(net.id)?.services.values() ?? [])];
  assert.deepEqual(there(), [web]);
  const told: string[] = [];
  mirror.onChange(({ change }) => told.push(`${change?.kind} ${change && 'id' in change ? change.id : ''}`));
  const db = await store.serviceCreate(net, serviceWish(net, 'db'));
  assert.deepEqual(there(), [web, db]);
  assert.deepEqual(told, [`service ${db.id}`]);
  const cached = new Mirror(store, mirror.save());
  assert.deepEqual([...(cached.view?.followed.get(net.id)?.services.values() ?? [])], [web, db]);
  await redis.open(name).serviceRemove(net.id, web.id);
  await mirror.refresh(net.id);
  assert.deepEqual(there(), [db]);
  await mirror.close();
});
