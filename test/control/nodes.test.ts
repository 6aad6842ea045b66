import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { findNode } from '../../src/control/find.ts';
import { removeNode } from '../../src/control/nodes.ts';
import type { Network } from '../../src/model/network.ts';
import type { Node } from '../../src/model/node.ts';
import { Mirror } from '../../src/store/mirror.ts';
import type { Store } from '../../src/store/store.ts';
import { attach, fails, networkWish, nodeWish, withRedis } from '../store/fixture.ts';

const redis = withRedis();
const mirrors: Mirror[] = [];
after(() => Promise.all(mirrors.map((mirror) => mirror.close())));

/** "a" is this host; "b" is on networks n1 and n2. Leases last that long. */
async function two(leaseMs: number) {
  const { store } = await redis.cluster();
  const nodes: Node[] = [];
  for (const name of ['a', 'b']) {
    const { id } = await store.nodeRegister(nodeWish(name));
    nodes.push(await store.nodeStart(id, nodeWish(name), leaseMs));
  }
  const [a, b] = nodes as [Node, Node];
  const networks: Network[] = [];
  for (const name of ['n1', 'n2']) {
    const { id } = await store.networkCreate(networkWish(name), []);
    networks.push(await store.networkJoin(id, b.id));
  }
  const [n1, n2] = networks as [Network, Network];
  await store.networkJoin(n1.id, a.id);
  const mirror = new Mirror(store, undefined, { pollMs: 1e6 });
  mirrors.push(mirror);
  await mirror.start();
  const remove = async (name: string, force: boolean) => {
    await mirror.refresh();
    const view = mirror.view ?? assert.fail('no view');
    await removeNode(store, view, a.id, findNode(view, name), force);
  };
  return { store, mirror, a, b, n1, n2, remove };
}

const at = (node: Node) => ({ node: node.id, epoch: node.epoch });
const lapsed = () => new Promise((resolve) => setTimeout(resolve, 30));
async function registry(store: Store) {
  const whole = await store.registrySince(undefined);
  assert.ok(whole.kind === 'snapshot');
  return whole.snapshot;
}

test('a node that is dead and has nothing goes, with its memberships', async () => {
  const { store, a, b, remove } = await two(1);
  await lapsed();
  await remove('b', false);
  const { nodes, networks } = await registry(store);
  assert.deepEqual(
    nodes.map(({ id }) => id),
    [a.id],
  );
  assert.deepEqual(networks.map(({ name, members }) => [name, members]).sort(), [
    ['n1', [a.id]],
    ['n2', []],
  ]);
  await fails(remove(b.id, false), 'node_not_found');
});

test('a node whose agent lives is refused, and so is this one, whatever is said', async () => {
  const { store, remove } = await two(60_000);
  const alive = await fails(remove('b', false), 'node_alive', /agent of node "b" is alive/);
  assert.equal(alive.exit, 4);
  assert.match(alive.hint ?? '', /warren leave.*--force/);
  for (const force of [false, true])
    assert.match((await fails(remove('a', force), 'node_alive', /is this host/)).hint ?? '', /warren leave/);
  assert.equal((await registry(store)).nodes.length, 2);
  await remove('b', true);
  assert.equal((await registry(store)).nodes.length, 1);
});

test('a dead node with endpoints is refused with their number; by force they are detached', async () => {
  const { store, mirror, a, b, n1, n2, remove } = await two(1);
  await mirror.follow(n1.id);
  const mine = await attach(store, n1, 'e0', at(a));
  const first = await attach(store, n1, 'e1', at(b));
  await lapsed();
  const one = await fails(remove('b', false), 'node_in_use', /node "b" has 1 endpoint on "n1"$/);
  assert.equal(one.exit, 4);
  await attach(store, n2, 'e2', at(b));
  await attach(store, n2, 'e3', at(b));
  await fails(remove('b', false), 'node_in_use', /has 3 endpoints on "n1", "n2"/);
  assert.equal((await store.endpoints(n2.id)).length, 2, 'nothing was touched');
  await remove('b', true);
  assert.deepEqual([await store.endpoints(n1.id), await store.endpoints(n2.id)], [[mine], []]);
  const { networks } = await registry(store);
  assert.ok(networks.every(({ members }) => !members.includes(b.id)));
  // What was its own is free again: the name at once, the address after its rest.
  const next = await attach(store, n1, 'e1', at(a));
  assert.notDeepEqual(next.addresses, first.addresses);
});

test('what it still attaches while it is removed is detached too', async () => {
  const { store, b, n2, remove } = await two(60_000);
  const nodeRemove = store.nodeRemove.bind(store);
  store.nodeRemove = async (id) => {
    await store.networkJoin(n2.id, b.id);
    await attach(store, n2, 'late', at(b));
    return nodeRemove(id);
  };
  await remove('b', true);
  assert.deepEqual(await store.endpoints(n2.id), []);
  assert.ok((await registry(store)).networks.every(({ members }) => !members.includes(b.id)));
});
