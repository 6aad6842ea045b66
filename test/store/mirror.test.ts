import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Endpoint } from '../../src/model/endpoint.ts';
import type { NetworkId } from '../../src/model/id.ts';

import type { View } from '../../src/model/view.ts';
import type { MirrorOptions } from '../../src/store/mirror.ts';
import { Mirror, type ViewLog } from '../../src/store/mirror.ts';
import type { ViewChange } from '../../src/store/replica.ts';
import type { Store } from '../../src/store/store.ts';
import { random } from '../support/random.ts';
import { attach, clusterWish, fails, ip, networkWish, nodeWish, withRedis } from './fixture.ts';

const redis = withRedis();
const slow: MirrorOptions = { pollMs: 1_000_000 };

/** Waits for a condition, never for a time. */
async function until(condition: () => boolean, what: string): Promise<void> {
  for (let i = 0; !condition(); i++) {
    if (i > 300) assert.fail(`never: ${what}`);
    await sleep(10);
  }
}

const plain = (view: View | undefined) =>
  JSON.parse(
    JSON.stringify(view, (_, value) => (value instanceof Map ? Object.fromEntries([...value].sort()) : value)),
  );
const withoutMarks = (value: unknown): unknown =>
  JSON.parse(JSON.stringify(value, (key, inner) => (key === 'mark' ? undefined : inner)));

/** What a mirror that has never seen a change would hold. */
async function fresh(store: Store, followed: readonly NetworkId[]): Promise<unknown> {
  const mirror = new Mirror(store, undefined, slow);
  for (const id of followed) await mirror.follow(id);
  await mirror.refresh();
  await mirror.close();
  return withoutMarks(plain(mirror.view));
}

test('it follows by wake-up, sees its own writes at once, and tells what changed', async () => {
  const { store, name } = await redis.cluster();
  const mirror = new Mirror(redis.open(name), undefined, slow);
  const none: unknown = mirror.view;
  assert.equal(none, undefined);
  await mirror.start();
  await sleep(50);
  const told: ViewChange[] = [];
  mirror.onChange((change) => told.push(change));
  const net = await store.networkCreate(networkWish('app'), []);
  await until(() => mirror.view?.networks.has(net.id) === true, 'the network by wake-up');
  assert.deepEqual(told, [{ scope: 'registry', change: { kind: 'network', id: net.id, value: net } }]);
  assert.equal(mirror.view?.followed.size, 0);
  await mirror.follow(net.id);
  assert.deepEqual(told.splice(0).at(-1), { scope: net.id, reset: true });
  const made = await attach(store, net, 'e1');
  await mirror.refresh(net.id);
  const followed = mirror.view?.followed.get(net.id);
  assert.deepEqual(followed?.endpoints.get(made.id), made);
  const ready = await store.endpointReady(net.id, made.id, 1);
  await until(() => followed?.endpoints.get(made.id)?.state === 'ready', 'ready by wake-up');
  await store.endpointDetach(net.id, made.id);
  await until(() => followed?.endpoints.size === 0, 'gone by wake-up');
  const change = { kind: 'endpoint', id: made.id };
  assert.deepEqual(told, [
    { scope: net.id, change: { ...change, value: made } },
    { scope: net.id, change: { ...change, value: ready }, previous: made },
    { scope: net.id, change: { ...change, value: undefined }, previous: ready },
  ]);
  await store.networkUpdate(net.id, { labels: { a: 'b' } }, []);
  await mirror.refresh('');
  assert.deepEqual(mirror.view?.followed.get(net.id)?.network.labels, { a: 'b' });
  mirror.unfollow(net.id);
  assert.equal(mirror.view?.followed.size, 0);
  await mirror.close();
});

test('without a wake-up the poll finds it', async () => {
  const { store, name } = await redis.cluster();
  const mirror = new Mirror(redis.open(name), undefined, { pollMs: 30 });
  await mirror.start();
  await redis.server.admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
  await store.networkCreate(networkWish('app'), []);
  await until(() => mirror.view?.networks.size === 1, 'the network by poll');
  await mirror.close();
});

test('a reconnect looks again', async () => {
  const { store, name } = await redis.cluster();
  const own = redis.open(name);
  const mirror = new Mirror(own, undefined, slow);
  await mirror.start();
  await sleep(50);
  // Deaf while the change is made: all connections end, then the registry grows.
  const admin = redis.server.admin;
  await admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
  await admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
  await store.networkCreate(networkWish('app'), []);
  await until(() => mirror.view?.networks.size === 1, 'the network after the reconnect');
  await mirror.close();
});

test('a removed network leaves the view with its endpoints', async () => {
  const { store } = await redis.cluster();
  const mirror = new Mirror(store, undefined, slow);
  const net = await store.networkCreate(networkWish('app'), []);
  await attach(store, net, 'e1');
  await mirror.start();
  await mirror.follow(net.id);
  let lost = false;
  mirror.onLost(() => {
    lost = true;
  });
  const told: ViewChange[] = [];
  mirror.onChange((change) => told.push(change));
  await store.networkRemove(net.id, true);
  await mirror.refresh(net.id);
  await mirror.refresh();
  assert.deepEqual([mirror.view?.followed.size, mirror.view?.networks.size, lost], [0, 0, false]);
  assert.equal(told.length, 1);
  assert.deepEqual(told[0]?.change, { kind: 'network', id: net.id, value: undefined });
  await mirror.follow(net.id);
  assert.equal(mirror.view?.followed.size, 0);
  await mirror.close();
});

test('an emptied store, and one made again, freeze it with its last good view', async () => {
  const { store, name } = await redis.cluster();
  const mirror = new Mirror(redis.open(name), undefined, slow);
  const net = await store.networkCreate(networkWish('app'), []);
  const made = await attach(store, net, 'e1');
  await mirror.start();
  await mirror.follow(net.id);
  const before = plain(mirror.view);
  const saved = mirror.save();
  const told: ViewChange[] = [];
  const lost: string[] = [];
  mirror.onChange((change) => told.push(change));
  mirror.onLost((scope) => lost.push(scope));
  const keys = await redis.server.admin.keys(`warren:{${name}*`);
  await redis.server.admin.del(...keys);
  await fails(mirror.refresh(''), 'store_lost_writes');
  assert.equal(mirror.frozen, true);
  await redis.open(name).clusterInit({ ...clusterWish, name });
  await fails(mirror.refresh(), 'store_lost_writes');
  await fails(mirror.refresh(net.id), 'store_lost_writes');
  assert.deepEqual(plain(mirror.view), before);
  assert.deepEqual([told, lost], [[], ['registry']]);
  assert.deepEqual(mirror.view?.followed.get(net.id)?.endpoints.get(made.id), made);
  // So does the next run, which has the view from disk.
  const next = new Mirror(redis.open(name), saved, slow);
  await next.start();
  next.onLost((scope) => lost.push(scope));
  assert.deepEqual([next.frozen, lost, plain(next.view)], [true, ['registry', 'registry'], before]);
  await mirror.close();
  await next.close();
});

test('a network that fell back, or whose slot is gone, freezes it', async () => {
  for (const how of ['back', 'gone', 'replaced'] as const) {
    const { store, name } = await redis.cluster();
    const admin = redis.server.admin;
    const mirror = new Mirror(store, undefined, slow);
    const net = await store.networkCreate(networkWish('app'), []);
    await attach(store, net, 'e1');
    const keys = await admin.keys(`warren:{${name}/${net.id}}:*`);
    const old = await Promise.all(keys.map(async (key) => [key, await admin.dumpBuffer(key)] as const));
    await attach(store, net, 'e2');
    await mirror.start();
    await mirror.follow(net.id);
    const before = plain(mirror.view);
    await admin.del(...keys);
    if (how !== 'gone') for (const [key, value] of old) await admin.restore(key, 0, value);
    if (how === 'replaced') for (const name of ['e3', 'e4', 'e5']) await attach(store, net, name);
    await fails(mirror.refresh(net.id), 'store_lost_writes', new RegExp(net.id));
    assert.deepEqual(plain(mirror.view), before, how);
    await mirror.close();
  }
});

test('after a gap it reads the whole and goes on', async () => {
  const { store, name } = await redis.cluster();
  const admin = redis.server.admin;
  const mirror = new Mirror(store, undefined, slow);
  const [a, b] = [await store.networkCreate(networkWish('a'), []), await store.networkCreate(networkWish('b'), [])];
  await mirror.start();
  await mirror.follow(a.id);
  await mirror.close();
  const next = new Mirror(store, mirror.save(), slow);
  await attach(store, a, 'e1');
  await attach(store, a, 'e2');
  await store.networkRemove(b.id, false);
  await store.nodeRegister(nodeWish('n1'));
  await admin.xtrim(`warren:{${name}/${a.id}}:changes`, 'MAXLEN', 1);
  await admin.xtrim(`warren:{${name}}:changes`, 'MAXLEN', 1);
  const told: ViewChange[] = [];
  next.onChange((change) => told.push(change));
  await next.start();
  assert.deepEqual(told, [
    { scope: 'registry', change: { kind: 'network', id: b.id, value: undefined }, previous: b },
    { scope: 'registry', reset: true },
    { scope: a.id, reset: true },
  ]);
  assert.deepEqual(withoutMarks(plain(next.view)), await fresh(store, [a.id]));
  await next.close();
});

test('a saved view comes back the same; anything else is no view', async () => {
  const { store } = await redis.cluster();
  const mirror = new Mirror(store, undefined, slow);
  assert.throws(() => mirror.save());
  const net = await store.networkCreate(networkWish('app'), []);
  const node = await store.nodeRegister(nodeWish('n1'));
  await store.networkJoin(net.id, node.id);
  await attach(store, net, 'e1');
  await mirror.start();
  await mirror.follow(net.id);
  const text = mirror.save();
  const load = (saved: string) => new Mirror(store, saved, slow).view;
  assert.deepEqual(load(text), mirror.view);
  for (let cut = 0; cut < text.length; cut += 7) assert.equal(load(text.slice(0, cut)), undefined);
  const root = JSON.parse(text);
  const spoil = [
    { ...root, format: 2 },
    { ...root, cluster: null },
    { ...root, revision: { incarnation: 'x' } },
    { ...root, nodes: {} },
    { ...root, nodes: [{ id: 'short' }] },
    { ...root, networks: [] },
    { ...root, networks: undefined },
    { ...root, followed: [null] },
    { ...root, followed: [{ ...root.followed[0], endpoints: undefined }] },
    { ...root, followed: [{ ...root.followed[0], revision: {} }] },
    [],
    null,
    7,
  ];
  for (const bad of spoil) assert.equal(load(JSON.stringify(bad)), undefined, JSON.stringify(bad).slice(0, 90));
  // It goes on where it was.
  const next = new Mirror(store, text, slow);
  const told: ViewChange[] = [];
  next.onChange((change) => told.push(change));
  await attach(store, net, 'e2');
  await next.start();
  assert.deepEqual(
    told.map(({ change }) => change?.kind),
    ['endpoint'],
  );
  await mirror.close();
  await next.close();
});

/** As src/agent/view-file.ts, without the disk. */
class Lines implements ViewLog {
  text = '';
  starts = 0;
  readonly #most: number;
  #added = 0;

  constructor(most: number) {
    this.#most = most;
    this.#added = most;
  }

  write(text: string): void {
    this.text = text;
    this.starts++;
    this.#added = 0;
  }

  append(line: string): boolean {
    if (this.#added++ >= this.#most) return false;
    this.text += `\n${line}`;
    return true;
  }
}

test('the log has every change before a listener hears of it', async () => {
  const { store } = await redis.cluster();
  const log = new Lines(100);
  const mirror = new Mirror(store, undefined, { ...slow, log });
  const logged = () => plain(new Mirror(store, log.text, slow).view);
  let heard = 0;
  mirror.onChange(() => {
    assert.deepEqual(logged(), plain(mirror.view));
    heard++;
  });
  await mirror.start();
  const [a, b] = [await store.networkCreate(networkWish('a'), []), await store.networkCreate(networkWish('b'), [])];
  for (const { id } of [a, b]) await mirror.follow(id);
  const made = await attach(store, a, 'e1');
  await mirror.refresh(a.id);
  const short = log.text.length;
  await store.endpointReady(a.id, made.id, 1);
  await mirror.refresh(a.id);
  mirror.unfollow(b.id);
  assert.deepEqual(logged(), plain(mirror.view));
  assert.deepEqual([log.starts, heard], [1, 7]);
  // A line that was cut short is as if it had not been begun, and nothing after it counts.
  const cut = log.text.slice(0, short + 60);
  assert.equal(new Mirror(store, cut, slow).view?.followed.get(a.id)?.endpoints.get(made.id)?.state, 'starting');
  const torn = log.text.slice(0, short + 60) + log.text.slice(short + 70);
  assert.equal(new Mirror(store, torn, slow).view?.followed.size, 2);
  // Nothing new is no line.
  const { text } = log;
  await mirror.refresh();
  assert.equal(log.text, text);
  await mirror.close();
});

test('a listener that throws does not tear the view', async () => {
  const { store } = await redis.cluster();
  const mirror = new Mirror(store, undefined, slow);
  await mirror.refresh();
  mirror.onChange(() => {
    throw new Error('mine');
  });
  for (const name of ['n1', 'n2', 'n3']) await store.nodeRegister(nodeWish(name));
  await assert.rejects(mirror.refresh(''), /mine/);
  assert.equal(mirror.view?.nodes.size, 3);
});

test('after a thousand random steps it equals a fresh one', async () => {
  const seed = Number(process.env.SEED ?? Date.now() % 1e9);
  const next = random(seed);
  const { store, name } = await redis.cluster({ cooldownMs: 5 });
  const log = new Lines(40);
  const mirrors = [new Mirror(redis.open(name), undefined, { pollMs: 50, log }), new Mirror(store, undefined, slow)];
  // Replays what listeners were told: they must be able to know everything from it.
  const replay = new Map<string, Endpoint>();
  const [heard] = mirrors as [Mirror, Mirror];
  heard.onChange(({ scope, change, reset }) => {
    if (scope !== 'registry' && reset) {
      for (const [id, { network }] of replay) if (network === scope) replay.delete(id);
      for (const endpoint of heard.view?.followed.get(scope)?.endpoints.values() ?? [])
        replay.set(endpoint.id, endpoint);
    } else if (change?.kind === 'endpoint') {
      if (change.value) replay.set(change.id, change.value);
      else replay.delete(change.id);
    } else if (change?.kind === 'network' && !change.value) {
      for (const [id, { network }] of replay) if (network === change.id) replay.delete(id);
    }
  });
  for (const mirror of mirrors) await mirror.start();
  const networks: Awaited<ReturnType<Store['networkCreate']>>[] = [];
  const nodes: Awaited<ReturnType<Store['nodeRegister']>>[] = [];
  const endpoints: Endpoint[] = [];
  const pick = <T>(list: T[]): T | undefined => list[next(list.length || 1)];
  const take = <T>(list: T[]): T | undefined => list.splice(next(list.length || 1), 1)[0];
  for (let i = 0; i < 1000; i++) {
    const [network, node, endpoint] = [pick(networks), pick(nodes), pick(endpoints)];
    const step = next(100);
    if (step < 6) {
      const made = await store.networkCreate(networkWish(`n${i}`, { labels: next(2) ? { i: String(i) } : {} }), []);
      networks.push(made);
      for (const mirror of mirrors) void mirror.follow(made.id);
    } else if (step < 9 && network) {
      networks.splice(networks.indexOf(network), 1);
      await store.networkRemove(network.id, true);
      for (const gone of endpoints.filter((each) => each.network === network.id))
        endpoints.splice(endpoints.indexOf(gone), 1);
    } else if (step < 14)
      nodes.push(await store.nodeRegister(nodeWish(`node${i}`, { underlay: ip(`192.0.2.${next(250)}`) })));
    else if (step < 16) {
      const gone = take(nodes);
      if (gone) await store.nodeRemove(gone.id);
    } else if (step < 22 && node) await store.nodeStart(node.id, { ...node, version: `0.${i}` }, 1000);
    else if (step < 32 && network && node) await store.networkJoin(network.id, node.id);
    else if (step < 38 && network && node) await store.networkLeave(network.id, node.id);
    else if (step < 42 && network) await store.networkUpdate(network.id, { labels: { i: String(i) } }, []);
    else if (step < 70 && network) endpoints.push(await attach(store, network, `e${i}`));
    else if (step < 85 && endpoint) await store.endpointReady(endpoint.network, endpoint.id, 1);
    else if (step < 97) {
      const gone = take(endpoints);
      if (gone) await store.endpointDetach(gone.network, gone.id);
    } else if (next(2) && network) {
      await redis.server.admin.xtrim(`warren:{${name}/${network.id}}:changes`, 'MAXLEN', 0);
    } else {
      for (const mirror of mirrors) await mirror.refresh();
      assert.deepEqual(plain(new Mirror(store, log.text, slow).view), plain(heard.view), `seed ${seed}, step ${i}`);
    }
  }
  const followed = networks.map(({ id }) => id);
  const expected = await fresh(store, followed);
  for (const mirror of mirrors) {
    await mirror.refresh();
    assert.equal(mirror.frozen, false, `seed ${seed}`);
    assert.deepEqual(withoutMarks(plain(mirror.view)), expected, `seed ${seed}`);
    await mirror.close();
  }
  const all = followed.flatMap((id) => [...(heard.view?.followed.get(id)?.endpoints.values() ?? [])]);
  assert.deepEqual(
    new Map([...replay].sort()),
    new Map(all.map((each) => [each.id, each] as const).sort()),
    `seed ${seed}`,
  );
  assert.deepEqual(all.length, endpoints.length, `seed ${seed}`);
});
