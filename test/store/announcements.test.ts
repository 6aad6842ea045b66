import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { NodeId } from '../../src/model/id.ts';
import { newId } from '../../src/model/id.ts';
import type { Store } from '../../src/store/store.ts';
import { waitFor } from '../support/wait.ts';
import { clusterWish, fails, nodeWish, withRedis } from './fixture.ts';

const redis = withRedis();

/** A cluster of nodes whose agents run, all of epoch 1. */
async function nodes(...names: readonly string[]): Promise<{ store: Store; name: string; ids: NodeId[] }> {
  const { store, name } = await redis.cluster();
  const ids: NodeId[] = [];
  for (const each of names) {
    const { id } = await store.nodeRegister(nodeWish(each));
    await store.nodeStart(id, nodeWish(each), 1000);
    ids.push(id);
  }
  return { store, name, ids };
}

/** A connection of its own that counts what wakes a node's keys, and whatever else is heard. */
class Ear {
  readonly store: Store;
  readonly scopes: string[] = [];
  readonly #marks = new Set<string>();
  woken = 0;
  readonly #channel: string;

  private constructor(store: Store, cluster: string, node: NodeId) {
    this.#channel = `warren:{${cluster}}:wake`;
    this.store = store;
    this.store.onAnnounced(node, () => this.woken++);
    this.store.onWake((scope) => (scope.startsWith('mark') ? this.#marks.add(scope) : this.scopes.push(scope)));
  }

  /** From now on it hears everything. */
  static async open(cluster: string, node: NodeId): Promise<Ear> {
    const store = redis.open(cluster);
    await store.ping();
    const ear = new Ear(store, cluster, node);
    await waitFor(() => ear.woken > 0, { what: 'the subscription', every: 2 });
    ear.woken = 0;
    return ear;
  }

  /** How often it was woken by all that was published so far, which comes in order. */
  async count(): Promise<number> {
    const mark = `mark-${newId()}`;
    await redis.server.admin.publish(this.#channel, mark);
    await waitFor(() => this.#marks.has(mark), { what: 'the mark', every: 2 });
    return this.woken;
  }
}

const texts = (...pairs: [NodeId | undefined, string][]) => new Map(pairs as [NodeId, string][]);

test('what was announced comes back, at both ends', async () => {
  const { store, ids } = await nodes('a', 'b', 'c');
  const [a, b, c] = ids as [NodeId, NodeId, NodeId];
  assert.deepEqual(await store.announcementsTo(a), new Map());
  assert.deepEqual(await store.announcementsBy(a, [b, c]), new Map());
  const odd = 'two\nlines "of" ü 😀\n';
  await store.announce(a, 1, texts([b, odd], [c, 'to c']));
  await store.announce(b, 1, texts([c, 'from b']));
  assert.deepEqual(await store.announcementsTo(b), texts([a, odd]));
  assert.deepEqual(await store.announcementsTo(c), texts([a, 'to c'], [b, 'from b']));
  assert.deepEqual(await store.announcementsTo(a), new Map());
  assert.deepEqual(await store.announcementsBy(a, [b, c, newId()]), texts([b, odd], [c, 'to c']));
  assert.deepEqual(await store.announcementsBy(b, [a, c]), texts([c, 'from b']));
  await store.announce(a, 1, texts([b, 'newer']));
  assert.deepEqual(await store.announcementsTo(b), texts([a, 'newer']));
  await store.announce(a, 1, new Map());
});

test('announcing is no change of the cluster', async () => {
  const { store, ids } = await nodes('a', 'b');
  const [a, b] = ids as [NodeId, NodeId];
  const { revision } = await store.registrySince(undefined);
  await store.announce(a, 1, texts([b, 'text']));
  assert.deepEqual((await store.registrySince(undefined)).revision, revision);
});

test('only the receiver is woken, once for each text that differs', async () => {
  const { store, name, ids } = await nodes('a', 'b', 'c');
  const [a, b, c] = ids as [NodeId, NodeId, NodeId];
  const ears = [await Ear.open(name, b), await Ear.open(name, c)];
  const woken = () => Promise.all(ears.map((ear) => ear.count()));
  await store.announce(a, 1, texts([b, 'one']));
  assert.deepEqual(await woken(), [1, 0]);
  await store.announce(a, 1, texts([b, 'one']));
  assert.deepEqual(await woken(), [1, 0], 'an equal text wakes nobody');
  await store.announce(a, 1, texts([b, 'one'], [c, 'two']));
  assert.deepEqual(await woken(), [1, 1]);
  await store.announce(a, 1, texts([b, 'three'], [c, 'three']));
  assert.deepEqual(await woken(), [2, 2]);
  // A change of the cluster is none of theirs, and theirs is none of the cluster's.
  await store.nodeRegister(nodeWish('d'));
  assert.deepEqual(await woken(), [2, 2]);
  assert.deepEqual(
    ears.map(({ scopes }) => scopes),
    [[''], ['']],
  );
});

test('after a lost connection the receiver is woken, as nobody knows what it missed', async () => {
  const { store, name, ids } = await nodes('a', 'b');
  const [a, b] = ids as [NodeId, NodeId];
  const ear = await Ear.open(name, b);
  await redis.server.admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
  await store.announce(a, 1, texts([b, 'unheard']));
  await waitFor(() => ear.woken > 0, { what: 'the wake-up' });
  assert.deepEqual(await ear.store.announcementsTo(b), texts([a, 'unheard']));
});

test('an older agent of the node announces nothing', async () => {
  const { store, ids } = await nodes('a', 'b');
  const [a, b] = ids as [NodeId, NodeId];
  await store.announce(a, 1, texts([b, 'first']));
  await store.nodeStart(a, nodeWish('a'), 1000);
  await fails(store.announce(a, 1, texts([b, 'late'])), 'stale_epoch', /epoch 2, ours is 1/);
  assert.deepEqual(await store.announcementsTo(b), texts([a, 'first']));
  await store.announce(a, 2, texts([b, 'second']));
  assert.deepEqual(await store.announcementsTo(b), texts([a, 'second']));
  // An epoch the store never gave out means that it forgot one.
  await fails(store.announce(a, 3, texts([b, 'third'])), 'store_lost_writes');
});

test('a removed node takes with it what it said and was told, and gets nothing any more', async () => {
  const { store, name, ids } = await nodes('a', 'b', 'c');
  const [a, b, c] = ids as [NodeId, NodeId, NodeId];
  for (const from of ids) {
    await store.announce(from, 1, new Map(ids.filter((to) => to !== from).map((to) => [to, `${from} to ${to}`])));
  }
  assert.equal(await store.nodeRemove(b), true);
  assert.deepEqual(await store.announcementsTo(a), texts([c, `${c} to ${a}`]));
  assert.deepEqual(await store.announcementsTo(c), texts([a, `${a} to ${c}`]));
  assert.deepEqual(await store.announcementsTo(b), new Map());
  await fails(store.announce(b, 1, texts([a, 'still here'])), 'node_not_found');
  const ear = await Ear.open(name, b);
  await store.announce(a, 1, texts([b, 'are you there?'], [c, 'b is gone']));
  assert.equal(await ear.count(), 0);
  assert.deepEqual(await redis.server.admin.keys(`warren:{${name}}:keys:${b}`), []);
  assert.deepEqual(await store.announcementsTo(c), texts([a, 'b is gone']));
});

test('two clusters in one store are apart, though ids be equal', async () => {
  const one = await nodes('a', 'b');
  const two = await redis.cluster();
  const [a, b] = one.ids as [NodeId, NodeId];
  for (const id of one.ids) {
    await two.store.nodeRegister(nodeWish(id, { id }));
    await two.store.nodeStart(id, nodeWish(id), 1000);
  }
  const ear = await Ear.open(two.name, b);
  await one.store.announce(a, 1, texts([b, 'here']));
  assert.equal(await ear.count(), 0);
  assert.deepEqual(await two.store.announcementsTo(b), new Map());
  assert.deepEqual(await two.store.announcementsBy(a, [b]), new Map());
  await one.store.nodeRemove(b);
  await two.store.announce(a, 1, texts([b, 'there']));
  assert.deepEqual(await two.store.announcementsTo(b), texts([a, 'there']));
});

test('a store that is not the one we knew takes and tells nothing', async () => {
  const { store, name, ids } = await nodes('a', 'b');
  const [a, b] = ids as [NodeId, NodeId];
  await fails(redis.open('nobody').announcementsTo(b), 'not_initialized');
  await redis.server.admin.del(`warren:{${name}}:meta`);
  await fails(store.announcementsTo(b), 'store_lost_writes');
  await fails(store.announcementsBy(a, [b]), 'store_lost_writes');
  await fails(store.announce(a, 1, texts([b, 'text'])), 'store_lost_writes');
  await redis.open(name).clusterInit({ ...clusterWish, name });
  await fails(store.announce(a, 1, texts([b, 'text'])), 'store_lost_writes');
});

test('a hundred at once: the last word counts for each', async () => {
  const names = Array.from({ length: 101 }, (_, i) => `n${i}`);
  const { store, ids } = await nodes(...names);
  const [first, ...rest] = ids as [NodeId, ...NodeId[]];
  const said = (round: number) => new Map(rest.map((to) => [to, `${round} ${'x'.repeat(600)}`]));
  for (let round = 0; round < 10; round++) await store.announce(first, 1, said(round));
  assert.deepEqual(await store.announcementsBy(first, rest), said(9));
});
