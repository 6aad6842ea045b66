import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { newId } from '../../src/model/id.ts';
import { attach, clusterWish, endpointWish, networkWish, nodeWish, withRedis } from './fixture.ts';

const redis = withRedis();

test('every change is one entry with its revision, in order; nothing new is no entry', async () => {
  const { store } = await redis.cluster();
  const start = await store.registrySince(undefined);
  assert.ok(start.kind === 'snapshot');
  assert.equal(start.diverged, undefined);
  assert.deepEqual([start.revision.n, start.snapshot.nodes, start.snapshot.networks], [0, [], []]);
  assert.equal(start.snapshot.cluster.incarnation, start.revision.incarnation);
  const node = await store.nodeRegister(nodeWish('n1'));
  const net = await store.networkCreate(networkWish('app'), []);
  const joined = await store.networkJoin(net.id, node.id);
  await store.networkRemove(net.id, false);
  await store.nodeRemove(node.id);
  const delta = await store.registrySince(start.revision);
  assert.ok(delta.kind === 'changes');
  assert.equal(delta.revision.n, 5);
  assert.deepEqual(delta.changes, [
    { kind: 'node', id: node.id, value: node },
    { kind: 'network', id: net.id, value: net },
    { kind: 'network', id: net.id, value: joined },
    { kind: 'network', id: net.id, value: undefined },
    { kind: 'node', id: node.id, value: undefined },
  ]);
  const none = await store.registrySince(delta.revision);
  assert.deepEqual(none, { kind: 'changes', revision: delta.revision, changes: [] });
  // From the middle, and from a revision without its mark, as somebody may have written it down.
  const { incarnation } = delta.revision;
  const tail = await store.registrySince({ incarnation, n: 3 });
  assert.ok(tail.kind === 'changes');
  assert.deepEqual(tail.changes, delta.changes.slice(3));
});

test('a network has a history of its own', async () => {
  const { store } = await redis.cluster();
  const net = await store.networkCreate(networkWish('app'), []);
  const start = await store.networkSince(net.id, undefined);
  assert.ok(start?.kind === 'snapshot');
  const before = await store.registrySince(undefined);
  const made = await attach(store, net, 'e1');
  const ready = await store.endpointReady(net.id, made.id, 1);
  await store.endpointDetach(net.id, made.id);
  const delta = await store.networkSince(net.id, start.revision);
  assert.ok(delta?.kind === 'changes');
  assert.deepEqual(delta.changes, [
    { kind: 'endpoint', id: made.id, value: made },
    { kind: 'endpoint', id: made.id, value: ready },
    { kind: 'endpoint', id: made.id, value: undefined },
  ]);
  assert.deepEqual((await store.registrySince(undefined)).revision, before.revision);
  assert.equal(await store.networkSince(newId<'network'>(), undefined), undefined);
});

test('a hole in the stream, at either end, is answered with the whole', async () => {
  const { store, name } = await redis.cluster();
  const net = await store.networkCreate(networkWish('app'), []);
  const start = await store.networkSince(net.id, undefined);
  const made = [];
  for (let i = 0; i < 10; i++) made.push(await attach(store, net, `e${i}`));
  const { incarnation } = (await store.networkSince(net.id, undefined))?.revision ?? { incarnation: '' };
  await redis.server.admin.xtrim(`warren:{${name}/${net.id}}:changes`, 'MAXLEN', 5);
  for (const n of [0, 1, 4, 5]) {
    const from = n === 0 ? start?.revision : { incarnation, n };
    const delta = await store.networkSince(net.id, from);
    assert.ok(delta?.kind === 'snapshot', `from ${n}`);
    assert.equal(delta.diverged, undefined);
    assert.equal(delta.revision.n, 10);
    assert.deepEqual(new Set(delta.snapshot.endpoints), new Set(made));
  }
  const near = await store.networkSince(net.id, { incarnation, n: 6 });
  assert.ok(near?.kind === 'changes');
  assert.equal(near.changes.length, 4);
});

test('another incarnation, a smaller revision or another change at that revision have diverged', async () => {
  const { store, name } = await redis.cluster();
  const admin = redis.server.admin;
  const net = await store.networkCreate(networkWish('app'), []);
  const first = await attach(store, net, 'e1');
  await attach(store, net, 'e2');
  const keys = await admin.keys(`warren:{${name}/${net.id}}:*`);
  const old = new Map(await Promise.all(keys.map(async (key) => [key, await admin.dumpBuffer(key)] as const)));
  const third = await attach(store, net, 'e3');
  const known = (await store.networkSince(net.id, undefined))?.revision;
  assert.ok(known);
  const diverged = async (from = known) => {
    const delta = await store.networkSince(net.id, from);
    return delta?.kind === 'snapshot' && delta.diverged === true;
  };
  assert.equal(await diverged(), false);
  assert.equal(await diverged({ ...known, incarnation: 'x' }), true);
  assert.equal(await diverged({ ...known, n: known.n + 1 }), true);
  // The store falls back by one acknowledged write …
  await admin.del(...keys);
  for (const [key, value] of old) await admin.restore(key, 0, value);
  assert.equal(await diverged(), true);
  // … and goes on: same incarnation, same number, other change.
  await store.endpointDetach(net.id, first.id);
  assert.equal((await store.networkSince(net.id, undefined))?.revision.n, known.n);
  assert.equal(await diverged(), true);
  await attach(store, net, 'e4');
  assert.equal(await diverged(), true);
  assert.ok(!(await store.endpoints(net.id)).some(({ id }) => id === third.id));
});

test('wake-ups say which scope, to everybody, and come after a change only', async () => {
  const { store, name } = await redis.cluster();
  const other = redis.open(name);
  const heard: string[] = [];
  let listening = () => {};
  const ready = new Promise<void>((resolve) => {
    listening = resolve;
  });
  other.onConnection(() => listening());
  other.onWake((scope) => heard.push(scope));
  await other.ping();
  await ready;
  await sleep(50);
  const net = await store.networkCreate(networkWish('app'), []);
  const wish = endpointWish(net, 'e1');
  await store.endpointAttach(net, wish);
  await store.endpointAttach(net, wish);
  await store.endpointDetach(net.id, wish.id);
  await store.endpointDetach(net.id, wish.id);
  await store.networkRemove(net.id, false);
  await sleep(50);
  assert.deepEqual(heard, ['', net.id, net.id, '', net.id]);
});

test('two clusters in one store do not see each other', async () => {
  const a = await redis.cluster();
  const b = await redis.cluster();
  const net = await a.store.networkCreate(networkWish('app'), []);
  await attach(a.store, net, 'e1');
  const whole = await b.store.registrySince(undefined);
  assert.ok(whole.kind === 'snapshot');
  assert.deepEqual(whole.snapshot.networks, []);
  assert.equal(await b.store.networkSince(net.id, undefined), undefined);
  assert.deepEqual(await b.store.clusterInit({ ...clusterWish, name: b.name }).then(({ created }) => created), false);
});
