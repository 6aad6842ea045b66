import assert from 'node:assert/strict';
import { afterEach, mock, test } from 'node:test';
import { Drift } from '../../src/agent/drift.ts';
import { Wanted } from '../../src/agent/wanted.ts';
import type { Kernel } from '../../src/kernel/kernel.ts';
import type { Hint, News } from '../../src/kernel/state.ts';
import { endpointNetns } from '../../src/plan/desired/endpoint.ts';
import { networkParts } from '../../src/plan/desired/network.ts';
import { endpointKey } from '../../src/plan/key.ts';
import { nothing } from '../../src/plan/scope.ts';
import { endpoint, network, node, view } from '../support/world.ts';

const [a, b] = [node('a', 1), node('b', 2)];
const app = network('app', { members: [a.id, b.id] });
const here = endpoint('here', app, a, 11);
const there = endpoint('there', app, b, 12);
const world = view([a, b], [app], [here, there]);
const path = '/run/netns/warren-1048576';
const end = 'wephereaaaaaa';

/** What was told has been heard. */
const settled = () => new Promise((resolve) => setImmediate(resolve));
const pass = (ms: number): void => {
  for (let at = 0; at < ms; at += 5) mock.timers.tick(5);
};
afterEach(() => mock.timers.reset());

/** A network that is built, and what is heard of it. */
async function setup() {
  mock.timers.enable({ apis: ['setTimeout', 'Date'], now: 1e9 });
  const wanted = new Wanted();
  const followed = world.followed.get(app.id) ?? assert.fail();
  for (const [key, scope] of networkParts(world, a, followed)) wanted.put(key, scope);
  let tell: (hint: Hint) => void = () => {};
  const kernel = {
    async *watch(_: unknown, __: unknown, signal: AbortSignal) {
      while (!signal.aborted) yield await new Promise<Hint>((resolve) => (tell = resolve));
    },
  } as unknown as Kernel;
  const looks: string[] = [];
  const state = { busy: false };
  const drift = new Drift(
    kernel,
    wanted,
    () => state.busy,
    (key) => looks.push(key),
    () => {},
  );
  drift.watch(path, app.id);
  const hint = async (more: Partial<Hint>) => {
    tell({ news: [], expired: [], mapped: [], ruled: [], vague: false, ...more });
    await settled();
  };
  const hear = (...news: News[]) => hint({ news });
  await hear();
  return {
    wanted,
    looks,
    state,
    hint,
    hear,
    drift,
  };
}

const link = (fields: Partial<Extract<News, { noun: 'links' }>['item']>, more: Partial<News> = {}): News =>
  ({ noun: 'links', gone: false, item: { kind: 'veth', linkNetnsid: 4, ...fields }, ...more }) as News;
const asWanted = {
  name: end,
  mtu: 1450,
  up: true,
  master: 'br0',
  addrGenMode: 'none',
  port: { learning: false, flood: false },
} as const;

const cases: Record<string, { news: News[]; look: boolean }> = {
  'what we have just made': {
    news: [
      link({ name: end, up: false, master: null }),
      link({ ...asWanted, port: { learning: true, flood: true } }),
      { noun: 'links', gone: false, item: { name: end, up: true, port: { learning: true, flood: true } } },
      link(asWanted),
      { noun: 'fdb', gone: false, item: { dev: end, lladdr: here.mac, via: 'master', externLearn: true } },
    ],
    look: false,
  },
  'a port taken out of the bridge': { news: [link({ ...asWanted, master: null })], look: true },
  'a port’s flag, told by the bridge alone': {
    news: [link(asWanted), { noun: 'links', gone: false, item: { name: end, port: { learning: true, flood: false } } }],
    look: true,
  },
  'a link that is gone': { news: [link({ name: 'vx0', kind: 'vxlan' }, { gone: true })], look: true },
  'a link of somebody else': {
    news: [link({ name: 'probe0' }), link({ name: 'probe0' }, { gone: true })],
    look: false,
  },
  'a link with our mark that nobody wants': { news: [link({ name: 'wabcdefghijkl' })], look: true },
  'one that has been cut off and is gone': {
    news: [link({ name: 'wabcdefghijkl', up: false }), link({ name: 'wabcdefghijkl' }, { gone: true })],
    look: false,
  },
  'a vxlan under the name it is born with': {
    news: [
      link({ name: 'wvx1048576', kind: 'vxlan' }),
      {
        noun: 'links',
        gone: false,
        renamed: 'wvx1048576',
        item: { name: 'vx0', kind: 'vxlan', up: true, master: 'br0' },
      },
    ],
    look: false,
  },
  'a neighbour of ours that ages': {
    news: [{ noun: 'neighs', gone: true, item: { dst: '10.9.0.12', dev: 'vx0' } }],
    look: true,
  },
  'a neighbour the kernel found': {
    news: [{ noun: 'neighs', gone: true, item: { dst: '10.9.0.77', dev: 'br0' } }],
    look: false,
  },
  'an FDB entry that leads elsewhere': {
    news: [
      {
        noun: 'fdb',
        gone: false,
        item: { dev: 'vx0', lladdr: there.mac, via: 'self', dst: '10.77.0.9', externLearn: true },
      },
    ],
    look: true,
  },
  'the same address on another link': {
    news: [{ noun: 'addrs', gone: true, item: { address: '10.9.0.1/16', dev: 'probe0' } }],
    look: false,
  },
  'a container’s address': {
    news: [link(asWanted), { noun: 'addrs', gone: true, nsid: 4, item: { address: '10.9.0.11/16' } }],
    look: true,
  },
  'an address of a namespace we have nothing in': {
    news: [link(asWanted), { noun: 'addrs', gone: true, nsid: 5, item: { address: '10.9.0.11/16' } }],
    look: false,
  },
};

for (const [what, { news, look }] of Object.entries(cases)) {
  test(`${what}: ${look ? 'one look' : 'nothing to look at'}`, async () => {
    const { looks, hear, drift } = await setup();
    await hear(...news);
    pass(200);
    assert.deepEqual(looks, look ? [app.id] : []);
    drift.close();
  });
}

test('what no event tells, offload, is no reason to look', async () => {
  const { wanted, looks, hear, drift } = await setup();
  const key = endpointKey(app.id, here.id);
  const vx0 = { name: 'vx0', kind: 'vxlan', mtu: 1450, tso: false };
  wanted.put(key, { namespaces: [], wishes: [{ netns: { path }, state: { ...nothing, links: [vx0] } }] });
  await hear(link({ name: 'vx0', kind: 'vxlan', mtu: 1450 }));
  pass(200);
  assert.deepEqual(looks, []);
  drift.close();
});

test('rules in an endpoint’s namespace: one look where some are ours, else none', async () => {
  const { wanted, looks, hint, hear, drift } = await setup();
  await hear(link(asWanted));
  await hint({ ruled: [4] });
  await hint({ ruled: [5] });
  assert.deepEqual(looks, [], 'it is no backend');
  const nft = [{ family: 'inet', name: 'warren_here', text: '' } as const];
  const key = endpointKey(app.id, here.id);
  const scope = wanted.get(key) ?? assert.fail();
  wanted.put(key, { ...scope, wishes: [...scope.wishes, { netns: endpointNetns(here), state: { ...nothing, nft } }] });
  await hint({ ruled: [4, 5] });
  assert.deepEqual(looks, [app.id]);
  wanted.put(key, scope);
  pass(2000);
  await hint({ ruled: [4] });
  assert.deepEqual(looks, [app.id], 'it is one no more');
  drift.close();
});

test('while we are changing things nothing is judged, but not for ever', async () => {
  const { looks, state, hear, drift } = await setup();
  state.busy = true;
  await hear(link({ ...asWanted, up: false }));
  pass(150);
  assert.deepEqual(looks, []);
  pass(600);
  assert.deepEqual(looks, [app.id]);
  drift.close();
});

test('somebody who breaks things all the time gets one look a second; what nobody can say is looked at', async () => {
  const { looks, hint, hear, drift } = await setup();
  for (let i = 0; i < 100; i++) {
    await hear(link({ ...asWanted, mtu: 1300 + i }));
    pass(50);
  }
  assert.ok(looks.length >= 4 && looks.length <= 6, `${looks.length} looks in 5 s`);
  pass(2000);
  const before = looks.length;
  await hint({ vague: true });
  assert.equal(looks.length, before + 1);
  drift.close();
});
