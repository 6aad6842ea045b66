import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type AttachDeps, attachEndpoint, detachEndpoint } from '../../src/agent/attach.ts';
import { Membership } from '../../src/agent/membership.ts';
import { Queue } from '../../src/agent/queue.ts';
import { Reconciler } from '../../src/agent/reconcile.ts';
import { Serial } from '../../src/agent/serial.ts';
import { Wanted } from '../../src/agent/wanted.ts';
import { endpointKey } from '../../src/plan/key.ts';
import { Mirror } from '../../src/store/mirror.ts';
import type { Store } from '../../src/store/store.ts';
import { fails, networkWish, nodeWish, withRedis } from '../store/fixture.ts';
import { FakeKernel } from '../support/fake-kernel.ts';

const redis = withRedis();
const never = new AbortController().signal;

/** The store, and by name what it was asked to write. Reads wait while the gate is shut. */
function noting(store: Store) {
  const notes = { asked: [] as string[], gate: Promise.resolve() };
  const noted = new Proxy(store, {
    get(target, key) {
      const value = target[key as keyof Store];
      if (typeof value !== 'function') return value;
      const call = value.bind(target) as (...args: never[]) => unknown;
      if (/Since$/.test(String(key))) return (...args: never[]) => notes.gate.then(() => call(...args));
      return (...args: never[]) => {
        notes.asked.push(String(key));
        return call(...args);
      };
    },
  });
  return { store: noted, notes };
}

/** All of an agent that an attach needs, on a real store and a kernel that is a map. */
async function setup() {
  const { store: elsewhere, name } = await redis.cluster();
  const { store, notes } = noting(redis.open(name));
  const node = await elsewhere.nodeRegister(nodeWish('a'));
  const mirror = new Mirror(store, undefined, { pollMs: 1_000_000 });
  await mirror.start();
  const kernel = new FakeKernel();
  for (let i = 0; i < 5; i++) {
    kernel.addNetns(`/run/netns/c${i}`);
    kernel.inodes.set(`/run/netns/c${i}`, 100 + i);
  }
  const reconciler = new Reconciler(kernel, new Wanted(), node.id, 'boot');
  const ran: string[] = [];
  const queue = new Queue(
    async (key) => {
      ran.push(key);
      if (mirror.view && !mirror.frozen) await reconciler.run(mirror.view, key);
    },
    () => {},
  );
  mirror.onChange(({ scope, change }) => {
    if (scope !== 'registry' && change?.kind === 'endpoint') queue.add(endpointKey(scope, change.id));
  });
  const deps = {
    ...{ kernel, store, mirror, queue, reconciler },
    self: () => node,
    boot: 'boot',
    serial: new Serial(),
    membership: new Membership(store, mirror, queue, node.id),
    encryption: { require: () => {}, agreed: async () => {} },
    isDown: () => false,
    namesServed: async () => {},
  } as unknown as AttachDeps;
  const attach = (netns: number, fields: object = {}) =>
    attachEndpoint(deps, { network: 'app', netns: `/run/netns/c${netns}`, ...fields }, never);
  return { elsewhere, name, mirror, kernel, deps, attach, notes, ran };
}

test('an attach to a known network writes twice and reads nothing; a detach writes once', async () => {
  const { elsewhere, mirror, kernel, deps, attach, notes, ran } = await setup();
  await elsewhere.networkCreate(networkWish('app', { encrypted: false }), []);
  const first = await attach(0);
  let open = () => {};
  notes.gate = new Promise((resolve) => {
    open = resolve;
  });
  notes.asked.length = 0;
  const made = await attach(1);
  assert.deepEqual([made.state, notes.asked], ['ready', ['endpointAttach', 'endpointReady']]);
  const mine = endpointKey(made.network, made.id);
  assert.equal(ran.filter((key) => key === mine).length, 1, 'one pass, which the attach waited for');
  assert.deepEqual(mirror.view?.followed.get(made.network)?.endpoints.get(made.id), made);
  assert.deepEqual([...(kernel.spaces.get('/run/netns/c1')?.links.keys() ?? [])], ['lo', 'eth0']);
  notes.asked.length = 0;
  await detachEndpoint(deps, made);
  assert.deepEqual(notes.asked, ['endpointDetach']);
  assert.deepEqual([...(mirror.view?.followed.get(made.network)?.endpoints.keys() ?? [])], [first.id]);
  open();
  await mirror.close();
});

test('what is refused by what was known is looked up: a network made again, one that grew', async () => {
  const { elsewhere, mirror, attach } = await setup();
  const fields = { encrypted: false, subnets: ['10.9.0.0/24'] } as never;
  const old = await elsewhere.networkCreate(networkWish('app', fields), []);
  await attach(0);
  await elsewhere.networkUpdate(old.id, { subnets: ['10.9.0.0/16'] as never }, []);
  assert.deepEqual((await attach(1, { addresses: ['10.9.7.7'] })).addresses, ['10.9.7.7']);
  await elsewhere.networkRemove(old.id, true);
  const again = await elsewhere.networkCreate(networkWish('app', fields), []);
  assert.equal((await attach(2)).network, again.id);
  await elsewhere.networkRemove(again.id, true);
  await fails(attach(3), 'network_not_found');
  await mirror.close();
});

test('an emptied store takes no attach, known network or not', async () => {
  const { elsewhere, name, mirror, attach } = await setup();
  await elsewhere.networkCreate(networkWish('app', { encrypted: false }), []);
  const made = await attach(0);
  await redis.server.admin.del(...(await redis.server.admin.keys(`warren:{${name}*`)));
  await fails(attach(1), 'store_lost_writes');
  await fails(attach(1), 'store_lost_writes');
  assert.deepEqual([...(mirror.view?.followed.get(made.network)?.endpoints.keys() ?? [])], [made.id]);
  await mirror.close();
});

test('attaches of one namespace to two networks at once get two interfaces', async () => {
  const { elsewhere, mirror, attach } = await setup();
  await elsewhere.networkCreate(networkWish('app', { encrypted: false }), []);
  await elsewhere.networkCreate(networkWish('db', { encrypted: false }), []);
  await Promise.all([attach(0), attach(0, { network: 'db' })]);
  for (let i = 1; i < 5; i++) {
    const both = await Promise.all([attach(i), attach(i, { network: 'db' })]);
    assert.deepEqual(both.map(({ ifname }) => ifname).sort(), ['eth0', 'eth1'], `round ${i}`);
  }
  await mirror.close();
});
