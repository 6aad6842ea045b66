import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Network } from '../../src/model/network.ts';
import { Mirror, type ViewLog } from '../../src/store/mirror.ts';
import type { ViewChange } from '../../src/store/replica.ts';
import type { Store } from '../../src/store/store.ts';
import { attach, endpointWish, fails, networkWish, withRedis } from './fixture.ts';

const redis = withRedis();

/** The same store, with its reads of networks held back while the gate is shut. */
function gated(store: Store) {
  const reads = { gate: Promise.resolve() };
  const networkSince: Store['networkSince'] = async (...args) => {
    await reads.gate;
    return store.networkSince(...args);
  };
  const gatedStore = new Proxy(store, {
    get(target, key) {
      if (key === 'networkSince') return networkSince;
      const value = target[key as keyof Store];
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  return { reads, store: gatedStore };
}

/** A mirror that follows a network and shares its store with whoever writes, one that writes elsewhere, and what is told. */
async function setup(log?: ViewLog) {
  const { store, name } = await redis.cluster();
  const other = redis.open(name);
  const net = await store.networkCreate(networkWish('app'), []);
  const { reads, store: mirrored } = gated(store);
  const mirror = new Mirror(mirrored, undefined, { pollMs: 1_000_000, ...(log ? { log } : {}) });
  await mirror.start();
  await mirror.follow(net.id);
  await sleep(50); // the subscription
  await mirror.refresh(net.id);
  const told: ViewChange[] = [];
  mirror.onChange((change) => told.push(change));
  const names = () =>
    [...(mirror.view?.followed.get(net.id)?.endpoints.values() ?? [])].map((each) => each.name).sort();
  return { store, other, net, mirror, reads, told, names, name };
}

/** Closes the gate; the result opens it. */
function shut(reads: { gate: Promise<void> }): () => void {
  let open = () => {};
  reads.gate = new Promise((resolve) => {
    open = resolve;
  });
  return open;
}

test('our own changes are in the view, and on disk, when we hear of them: nothing has been read', async () => {
  const lines: string[] = [];
  const log: ViewLog = {
    write: (text) => void lines.splice(0, lines.length, text),
    append: (line) => lines.length > 0 && lines.push(line) > 0,
  };
  const { store, net, mirror, reads, told } = await setup(log);
  mirror.onChange(() => {
    const logged = new Mirror(store, lines.join('\n')).view?.followed.get(net.id);
    assert.deepEqual(logged, { ...mirror.view?.followed.get(net.id) }, 'on disk before a listener hears of it');
  });
  const open = shut(reads);
  const wish = endpointWish(net, 'e1');
  const seen = () => mirror.view?.followed.get(net.id)?.endpoints.get(wish.id);
  const made = await store.endpointAttach(net, wish);
  assert.deepEqual(seen(), made);
  assert.deepEqual(await store.endpointAttach(net, wish), made);
  const ready = await store.endpointReady(net.id, wish.id, 1);
  assert.deepEqual(seen(), ready);
  await store.endpointReady(net.id, wish.id, 1);
  await store.endpointDetach(net.id, wish.id);
  assert.equal(seen(), undefined);
  await store.endpointDetach(net.id, wish.id);
  const change = { kind: 'endpoint', id: wish.id };
  assert.deepEqual(told, [
    { scope: net.id, change: { ...change, value: made } },
    { scope: net.id, change: { ...change, value: ready }, previous: made },
    { scope: net.id, change: { ...change, value: undefined }, previous: ready },
  ]);
  await Promise.all(['a', 'b', 'c', 'd'].map((name) => attach(store, net, name)));
  assert.equal(mirror.view?.followed.get(net.id)?.endpoints.size, 4);
  open();
  // It is where a reader would be.
  const before = mirror.view?.followed.get(net.id)?.revision;
  await mirror.refresh(net.id);
  assert.deepEqual([mirror.view?.followed.get(net.id)?.revision, told.length], [before, 7]);
  await mirror.close();
});

test('somebody else’s change in between: the store is read', async () => {
  const { store, other, net, mirror, reads, names, told } = await setup();
  const open = shut(reads);
  await attach(other, net, 'theirs');
  await attach(store, net, 'ours');
  assert.deepEqual(names(), []);
  open();
  await mirror.refresh(net.id);
  assert.deepEqual(names(), ['ours', 'theirs']);
  assert.deepEqual([told.length, mirror.frozen], [2, false]);
  // From here on it is the next one again.
  const openAgain = shut(reads);
  await attach(store, net, 'next');
  assert.deepEqual(names(), ['next', 'ours', 'theirs']);
  openAgain();
  await mirror.close();
});

test('a change of ours while the store is being read: what else was asked for comes, too', async () => {
  const { store, other, net, mirror, reads, names, told } = await setup();
  const open = shut(reads);
  const asked = mirror.refresh(net.id);
  await attach(store, net, 'ours');
  assert.deepEqual(names(), ['ours']);
  await attach(other, net, 'theirs');
  open();
  await asked;
  assert.deepEqual([names(), told.length], [['ours', 'theirs'], 2]);
  await mirror.close();
});

test('a stream that has been trimmed says nothing of what came before', async () => {
  const { store, net, mirror, names, told, name } = await setup();
  await attach(store, net, 'e1');
  await redis.server.admin.xtrim(`warren:{${name}/${net.id}}:changes`, 'MAXLEN', 0);
  await attach(store, net, 'e2');
  await mirror.refresh(net.id);
  assert.deepEqual([names(), mirror.frozen, told.at(-1)], [['e1', 'e2'], false, { scope: net.id, reset: true }]);
  await mirror.close();
});

/** The network's slot as it is now; the result puts it back. */
async function keep(name: string, { id }: Network): Promise<() => Promise<void>> {
  const { admin } = redis.server;
  const pattern = `warren:{${name}/${id}}:*`;
  const old = await Promise.all(
    (await admin.keys(pattern)).map(async (key) => [key, await admin.dumpBuffer(key)] as const),
  );
  return async () => {
    await admin.del(...(await admin.keys(pattern)));
    for (const [key, value] of old) await admin.restore(key, 0, value);
  };
}

for (const theirs of [0, 1, 2]) {
  test(`lost writes, ${theirs} made instead: our next change is not taken for the next one, and it freezes`, async () => {
    const { store, other, net, mirror, reads, names, told, name } = await setup();
    await attach(store, net, 'kept');
    const back = await keep(name, net);
    await attach(store, net, 'lost');
    const open = shut(reads);
    await back();
    for (let i = 0; i < theirs; i++) await attach(other, net, `theirs${i}`);
    await attach(store, net, 'ours');
    assert.deepEqual([names(), mirror.frozen], [['kept', 'lost'], false]);
    open();
    await fails(mirror.refresh(net.id), 'store_lost_writes');
    await attach(store, net, 'later');
    assert.deepEqual([names(), told.length, mirror.frozen], [['kept', 'lost'], 2, true]);
    await mirror.close();
  });
}

test('what is not followed stays unknown', async () => {
  const { store, net, mirror, told } = await setup();
  mirror.unfollow(net.id);
  await attach(store, net, 'e1');
  assert.deepEqual([mirror.view?.followed.size, told], [0, []]);
  await mirror.close();
});
