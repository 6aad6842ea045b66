/** What the store says in several places, after somebody was at it with redis-cli. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkNetworks } from '../../src/control/repair.ts';
import type { Endpoint } from '../../src/model/endpoint.ts';
import { newId } from '../../src/model/id.ts';
import type { Network } from '../../src/model/network.ts';
import type { Node } from '../../src/model/node.ts';
import type { View } from '../../src/model/view.ts';
import { networkKeys, registryKeys } from '../../src/store/keys.ts';
import { Mirror } from '../../src/store/mirror.ts';
import type { Store } from '../../src/store/store.ts';
import { random } from '../support/random.ts';
import { attach, cidr, ip, networkWish, nodeWish, serviceWish, withRedis } from './fixture.ts';

const redis = withRedis();

/** A network with a reserved address, two endpoints of node n1, and a service; whoever follows it, and who does not. */
async function made() {
  const { store, name } = await redis.cluster({ cooldownMs: 30_000 });
  const { id } = await store.nodeRegister(nodeWish('n1'));
  const node = await store.nodeStart(id, nodeWish('n1'), 1000);
  const wish = { subnets: [cidr('10.9.0.0/16'), cidr('fd09::/64')], reserved: [ip('10.9.0.7')] };
  const { id: network } = await store.networkCreate(networkWish('app', wish), []);
  const net = await store.networkJoin(network, id);
  const own = { node: id, epoch: node.epoch };
  const endpoints = [await attach(store, net, 'e1', own), await attach(store, net, 'e2', own)];
  const service = await store.serviceCreate(net, serviceWish(net, 'web'));
  const mirror = new Mirror(store, undefined, { pollMs: 1e6 });
  await mirror.start();
  await mirror.follow(network);
  const view = mirror.view as View;
  const keys = networkKeys(name, network);
  const [e1, e2] = endpoints as [Endpoint, Endpoint];
  return { store, name, node, net, e1, e2, service, mirror, view, keys, admin: redis.server.admin };
}
type Made = Awaited<ReturnType<typeof made>>;

/** By somebody on the network, or by somebody who is not. */
async function check({ store, view, mirror }: Made, repair: boolean, follows = true) {
  await mirror.refresh();
  const seen = follows ? view : { ...view, followed: new Map() };
  const { networks } = await checkNetworks(store, seen, [...view.networks.values()], repair);
  const [only] = networks;
  assert.ok(only && networks.length === 1);
  return only;
}

/** Everything in the slot but what changes with time. */
async function content({ admin, keys }: Made): Promise<Record<string, unknown>> {
  const { meta: _, changes: __, epochs: ___, asserted: ____, ...rest } = keys;
  const found: Record<string, unknown> = {};
  for (const [what, key] of Object.entries(rest)) {
    const type = await admin.type(key);
    if (type === 'hash') found[what] = Object.fromEntries(Object.entries(await admin.hgetall(key)).sort());
    else if (type === 'set') found[what] = (await admin.smembers(key)).sort();
    else if (type === 'zset') found[what] = await admin.zrange(key, '0', '-1');
    else if (type === 'string') {
      const bits = (await admin.getBuffer(key)) ?? Buffer.of();
      found[what] = bits.toString('hex', 0, bits.findLastIndex((byte) => byte !== 0) + 1);
    }
  }
  return found;
}

const short = (list: readonly { kind: string; subject: string; repaired: boolean }[]) =>
  list.map(({ kind, subject, repaired }) => [kind, subject, repaired]);

async function revision(store: Store, { id }: Network): Promise<number | undefined> {
  return (await store.networkSince(id, undefined))?.revision.n;
}

test('a store that nobody was at is clean, also while addresses rest, and says nothing of it', async () => {
  const world = await made();
  await world.store.endpointDetach(world.net.id, world.e1.id);
  await attach(world.store, world.net, 'odd', {
    addresses: [ip('10.9.0.7'), ip('fd09::ffff:ffff:ffff:1')],
    node: world.node.id,
    epoch: world.node.epoch,
  });
  const before = [await content(world), await revision(world.store, world.net)];
  for (const repair of [false, true]) {
    const { checked, findings, left } = await check(world, repair);
    assert.deepEqual([findings, left], [[], 0]);
    assert.ok(checked > 15, `${checked}`);
  }
  assert.deepEqual([await content(world), await revision(world.store, world.net)], before);
});

/** What somebody does to the store, and what is said of it. */
const damages: Record<string, { harm: (world: Made) => Promise<unknown>; kinds: readonly string[]; news?: true }> = {
  'an address that nobody has': {
    harm: ({ admin, keys }) => admin.hset(keys.addresses4, '0a090063', newId()),
    kinds: ['leaked'],
    news: true,
  },
  'a name, a MAC and a namespace of nobody': {
    harm: async ({ admin, keys }) => {
      await admin.hset(keys.names, 'ghost', newId());
      await admin.hset(keys.macs, '0a:00:00:00:00:01', newId());
      await admin.hset(keys.netns, 'x/b0/4/1', newId());
    },
    kinds: ['leaked', 'leaked', 'leaked'],
  },
  'a virtual IP of nobody': {
    harm: ({ admin, keys }) => admin.hset(keys.vips, '0a900063', newId()),
    kinds: ['leaked'],
    news: true,
  },
  'an endpoint whose entries are gone': {
    harm: async ({ admin, keys, e1, e2 }) => {
      await admin.hdel(keys.names, 'e1');
      await admin.hdel(keys.macs, e1.mac);
      await admin.del(keys.netns, keys.addresses6, keys.holds);
      await admin.hset(keys.names, 'e2', e1.id);
      assert.notEqual(e2.id, e1.id);
    },
    kinds: Array(9).fill('missing'),
  },
  'a service whose entries are gone': {
    harm: async ({ admin, keys }) => {
      await admin.hdel(keys.names, 'web');
      await admin.del(keys.vips);
    },
    kinds: ['missing', 'missing', 'missing'],
  },
  bits: {
    harm: async ({ admin, keys }) => {
      await admin.setbit(keys.pool4, 2, 0);
      await admin.setbit(keys.pool4, 3, 0);
      for (const at of [900, 901, 902, 40_000]) await admin.setbit(keys.pool4, at, 1);
      await admin.setbit(keys.pool6, 1_000_000, 1);
    },
    kinds: Array(5).fill('bit'),
  },
  'a pool that is gone': {
    harm: async ({ admin, keys }) => {
      await admin.hdel(keys.meta, 'pool6');
      await admin.del(keys.pool4, keys.pool6);
    },
    kinds: [...Array(5).fill('bit'), 'pool'],
  },
  'a reserved address that is not, and the other way round': {
    harm: async ({ admin, keys }) => {
      await admin.del(keys.reserved);
      await admin.sadd(keys.reserved, '0a090009');
    },
    kinds: ['reserved', 'reserved'],
  },
  'an address at rest that is in use': {
    harm: ({ admin, keys, e1 }) =>
      admin.zadd(keys.cooling4, 9e12, Number(e1.addresses[0]?.split('.')[3]).toString(16).padStart(8, '0a090000')),
    kinds: ['cooling'],
  },
  'an endpoint without a document': {
    harm: ({ admin, keys, e1 }) => admin.hdel(keys.endpoints, e1.id),
    kinds: ['lost'],
    news: true,
  },
  'an endpoint of which only the address is left': {
    harm: async ({ admin, keys, e1 }) => {
      await admin.hdel(keys.endpoints, e1.id);
      await admin.del(keys.holds, keys.macs, keys.netns);
      await admin.hdel(keys.names, 'e1');
    },
    kinds: ['lost', 'missing', 'missing', 'missing', 'missing', 'missing', 'missing', 'missing'],
    news: true,
  },
  'documents that cannot be read': {
    harm: async ({ admin, keys, e1, service }) => {
      await admin.hset(keys.endpoints, e1.id, '{"id":');
      await admin.hset(keys.services, service.id, '[]');
    },
    kinds: ['unreadable', 'unreadable'],
    news: true,
  },
  'a service without a document': {
    harm: ({ admin, keys, service }) => admin.hdel(keys.services, service.id),
    kinds: ['lost'],
    news: true,
  },
};

for (const [what, { harm, kinds, news }] of Object.entries(damages))
  test(`${what}: found, mended, and clean after that`, async () => {
    const world = await made();
    const [before, n] = [await content(world), await revision(world.store, world.net)];
    await harm(world);
    const damaged = await content(world);
    const found = await check(world, false);
    assert.deepEqual(found.findings.map(({ kind }) => kind).sort(), kinds, JSON.stringify(found.findings));
    assert.equal(found.left, found.findings.length);
    assert.deepEqual(await content(world), damaged, 'looking changes nothing');
    const mended = await check(world, true);
    assert.equal(mended.left, 0, JSON.stringify(mended.findings));
    assert.ok(mended.findings.every(({ repaired }) => repaired));
    for (const repair of [true, false]) assert.deepEqual((await check(world, repair)).findings, []);
    const after = await content(world);
    // What was held for nobody rests before it is given out.
    const { cooling4: _, pool4: bits, ...rest } = after;
    const { cooling4: __, pool4: old, ...was } = before;
    assert.deepEqual(rest, was);
    if (what !== 'an address that nobody has') assert.equal(bits, old);
    const raised = (await revision(world.store, world.net)) !== n;
    assert.equal(
      raised,
      news === true || what === 'a virtual IP of nobody',
      'the revision says what readers must hear',
    );
  });

test('what nobody on the network can have known is not taken from it by somebody who is not', async () => {
  const world = await made();
  const { admin, keys, e1 } = world;
  await admin.hdel(keys.endpoints, e1.id);
  await admin.hset(keys.addresses4, '0a090063', newId());
  const { findings, left } = await check(world, true, false);
  assert.deepEqual(short(findings), [
    ['leaked', '10.9.0.99', false],
    ['lost', 'e1', false],
  ]);
  assert.equal(left, 2);
  assert.match(findings[0]?.detail ?? '', /repair it on a host that is on the network/);
  assert.equal((await check(world, true)).left, 0);
  assert.deepEqual((await world.store.endpoints(world.net.id)).map(({ name }) => name).sort(), ['e1', 'e2']);
});

test('an endpoint whose host has let go of it is given up, and all hear of it', async () => {
  const world = await made();
  const { admin, keys, e1, mirror, store, net } = world;
  await admin.hdel(keys.endpoints, e1.id);
  // Another agent, which has never seen it.
  const fresh = new Mirror(store, undefined, { pollMs: 1e6 });
  await fresh.start();
  await fresh.follow(net.id);
  const { findings, left } = await check({ ...world, mirror: fresh, view: fresh.view as View }, true);
  assert.deepEqual([short(findings), left], [[['lost', 'e1', true]], 0]);
  await mirror.refresh();
  assert.ok(!mirror.view?.followed.get(net.id)?.endpoints.has(e1.id));
  const next = await attach(store, net, 'next', { node: world.node.id, epoch: world.node.epoch });
  assert.ok(!next.addresses.some((address) => e1.addresses.includes(address)), 'it rests');
});

test('endpoints of a node that was removed, and members that are none', async () => {
  const world = await made();
  const { store, net, node, e1, e2, name, admin } = world;
  const other = await store.nodeRegister(nodeWish('n2'));
  await store.networkJoin(net.id, other.id);
  await attach(store, net, 'stays', { node: other.id });
  await store.nodeRemove(node.id);
  const found = await check(world, false);
  assert.deepEqual(short(found.findings), [
    ['orphan', 'e1', false],
    ['orphan', 'e2', false],
    ['member', node.id, false],
  ]);
  const mended = await check(world, true);
  assert.equal(mended.left, 0);
  assert.deepEqual((await check(world, false)).findings, []);
  assert.deepEqual(
    (await store.endpoints(net.id)).map((each) => each.name),
    ['stays'],
  );
  const cooling = (await store.usage(net.id)).map((each) => each.cooling);
  assert.deepEqual(cooling, [2, 2]);
  assert.ok(!world.view.networks.get(net.id)?.members.includes(node.id));
  assert.deepEqual([e1.node, e2.node], [node.id, node.id]);
  // A node that has endpoints and is no member: nobody sends to it.
  await store.networkLeave(net.id, other.id);
  assert.deepEqual(short((await check(world, false)).findings), [['member', other.id, false]]);
  assert.equal((await check(world, true)).left, 0);
  const text = await admin.hget(registryKeys(name).networks, net.id);
  assert.deepEqual(JSON.parse(text ?? '').members, [other.id]);
});

test('what only a person can decide stays, and is told', async () => {
  const world = await made();
  const { admin, keys, e1, e2, store, net } = world;
  const text = (await admin.hget(keys.endpoints, e2.id)) ?? '';
  await admin.hset(keys.endpoints, e2.id, text.replace(`"${e2.addresses[0]}"`, `"${e1.addresses[0]}"`));
  const { findings, left } = await check(world, true);
  assert.deepEqual([...new Set(short(findings).map(([kind, , repaired]) => `${kind} ${repaired}`))].sort(), [
    'double false',
    'leaked true',
    'missing true',
  ]);
  assert.equal(left, 1);
  assert.match(findings.find(({ kind }) => kind === 'double')?.detail ?? '', new RegExp(`remove one: ${e2.id}`));
  await store.endpointDetach(net.id, e2.id);
  assert.equal((await check(world, true)).left, 0);
  assert.deepEqual((await check(world, false)).findings, []);
  await admin.hset(keys.meta, 'state', 'closing');
  assert.deepEqual(short((await check(world, true)).findings), [['closing', 'app', false]]);
});

test('while nodes are waited for nothing is repaired', async () => {
  const world = await made();
  const { admin, keys, node } = world;
  await admin.hset(keys.meta, 'awaits', node.id, 'awaitedUntil', '99999999999999');
  await admin.hset(keys.addresses4, '0a090063', newId());
  assert.deepEqual(short((await check(world, false)).findings), [['leaked', '10.9.0.99', false]]);
  assert.deepEqual(short((await check(world, true)).findings), [['recovering', 'app', false]]);
});

test('attaching and detaching go on while somebody repairs, and nothing is lost', async (t) => {
  const seed = Number(process.env.SEED ?? Date.now() % 1e9);
  t.diagnostic(`seed ${seed}`);
  const next = random(seed);
  const world = await made();
  const { store, net, node, admin, keys } = world;
  let done = false;
  const held = new Map<string, Endpoint>();
  const busy = async (who: number) => {
    for (let i = 0; i < 60; i++) {
      const one = await attach(store, net, `w${who}x${i}`, { node: node.id, epoch: node.epoch });
      held.set(one.id, one);
      if (next(2)) {
        const gone = [...held.keys()][next(held.size)] as Endpoint['id'];
        held.delete(gone);
        await store.endpointDetach(net.id, gone);
      }
      if (next(8) === 0) await admin.setbit(keys.pool4, next(60_000), 1);
    }
  };
  const repairing = (async () => {
    while (!done) await check(world, true);
  })();
  await Promise.all([busy(1), busy(2)]);
  done = true;
  await repairing;
  await check(world, true);
  assert.deepEqual((await check(world, false)).findings, [], `seed ${seed}`);
  const there = (await store.endpoints(net.id)).filter(({ name }) => name.startsWith('w'));
  assert.deepEqual(there.map(({ id }) => id).sort(), [...held.keys()].sort(), `seed ${seed}`);
});

test('a /16 is checked bit by bit, and nobody has to wait for that', async (t) => {
  const { store, name } = await redis.cluster();
  const node: Node = await store.nodeRegister(nodeWish('n1'));
  const net = await store.networkCreate(networkWish('big', { subnets: [cidr('10.0.0.0/16'), cidr('fd09::/64')] }), []);
  const most = process.env.WARREN_LONG ? 65_000 : 10_000;
  const keys = networkKeys(name, net.id);
  const first = await attach(store, net, 'first', { node: node.id });
  // As many as fit, by a script: attaching them one by one takes a minute.
  await redis.server.admin.eval(
    `local template, id, name, mac = redis.call('HGET', KEYS[1], ARGV[1]), ARGV[1], ARGV[2], ARGV[3]
    for n = 10, tonumber(ARGV[5]) do
      local other = string.format('%016d', n):gsub('%d', function(d) return string.char(97 + d) end)
      local low = string.format('%04x', n)
      local m, ns = string.format('0a:00:00:00:%02x:%02x', math.floor(n / 256), n % 256), ARGV[4] .. '/b0/4/' .. (n + 1000000)
      local document = template:gsub(id, other):gsub('"name":"[^"]*"', '"name":"e' .. n .. '"', 1):gsub(mac, m)
        :gsub('"inode":%d+', '"inode":' .. (n + 1000000))
        :gsub('"addresses":%[[^%]]*%]', '"addresses":["10.0.' .. math.floor(n / 256) .. '.' .. n % 256 .. '","fd09::' .. low:gsub('^0+', '') .. '"]')
      redis.call('HSET', KEYS[1], other, document)
      redis.call('HSET', KEYS[2], 'e' .. n, other)
      redis.call('HSET', KEYS[3], m, other)
      redis.call('HSET', KEYS[4], ns, other)
      local six = 'fd09' .. string.rep('0', 24) .. low
      redis.call('HSET', KEYS[5], '0a00' .. low, other)
      redis.call('HSET', KEYS[6], six, other)
      redis.call('HSET', KEYS[7], other, table.concat({ ARGV[4], 'e' .. n, m, ns, '0a00' .. low .. ' ' .. six }, '\\n'))
      redis.call('SETBIT', KEYS[8], n, 1)
      redis.call('SETBIT', KEYS[9], n, 1)
    end`,
    9,
    ...[keys.endpoints, keys.names, keys.macs, keys.netns, keys.addresses4, keys.addresses6, keys.holds],
    ...[keys.pool4, keys.pool6, first.id, 'first', first.mac, node.id, most],
  );
  await redis.server.admin.del(keys.pool4, keys.pool6, keys.macs);
  const { admin } = redis.server;
  const slow = 300;
  await admin.config('SET', 'slowlog-log-slower-than', slow * 1000);
  await admin.slowlog('RESET');
  const began = performance.now();
  const look = { gone: [], known: undefined };
  const { checked, findings, more } = await store.networkCheck(net, { repair: true, ...look });
  const took = Math.round(performance.now() - began);
  t.diagnostic(`${checked} entries, ${more + findings.length} findings, ${took} ms`);
  assert.ok(checked > 6 * most && more > most, `${checked} ${more}`);
  assert.equal(await admin.slowlog('LEN'), 0, `nothing took ${slow} ms`);
  const again = await store.networkCheck(net, { repair: false, ...look });
  assert.deepEqual([again.left, again.findings], [0, []]);
});
