import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Endpoint } from '../../src/model/endpoint.ts';
import { newId } from '../../src/model/id.ts';
import type { Ip } from '../../src/model/ip.ts';
import { contains, fromNumber, gatewayOf, rangeOf } from '../../src/model/ip.ts';
import type { Network } from '../../src/model/network.ts';
import type { NetworkWish, Store } from '../../src/store/store.ts';
import { random } from '../support/random.ts';
import { attach, cidr, endpointWish, fails, ip, networkWish, withRedis } from './fixture.ts';

const redis = withRedis();

async function network(more: Partial<NetworkWish> = {}, options?: { cooldownMs: number }) {
  const { store, name } = await redis.cluster(options);
  return { store, name, net: await store.networkCreate(networkWish('app', more), []) };
}
const four = (endpoint: Endpoint) => endpoint.addresses[0];
const revision = async (store: Store, net: Network) => (await store.networkSince(net.id, undefined))?.revision;

test('an endpoint gets an address per family, IPv4 first, and is starting, then ready', async () => {
  const { store, net } = await network();
  const labels = { 'x"y': '\n', b: '', a: '{}' };
  const wish = endpointWish(net, 'web', { labels });
  const { epoch: _, ...same } = wish;
  const made = await store.endpointAttach(net, wish);
  const addresses = ['10.128.0.2', 'fd12:3456:789a:1::2'];
  assert.deepEqual(made, { ...same, addresses, state: 'starting' });
  assert.deepEqual(await store.endpoints(net.id), [made]);
  assert.equal(await store.endpointCount(net.id), 1);
  const ready = await store.endpointReady(net.id, wish.id, 1);
  assert.deepEqual(ready, { ...made, state: 'ready' });
  const at = await revision(store, net);
  assert.deepEqual(await store.endpointReady(net.id, wish.id, 1), ready);
  assert.deepEqual(await store.endpointAttach(net, wish), ready);
  assert.deepEqual(await revision(store, net), at);
  assert.deepEqual(await store.endpointDetach(net.id, wish.id), ready);
  assert.equal(await store.endpointDetach(net.id, wish.id), undefined);
  assert.deepEqual((await revision(store, net))?.n, 3);
  assert.deepEqual(await store.endpoints(net.id), []);
  await fails(store.endpointReady(net.id, wish.id, 1), 'endpoint_not_found');
});

test('what is taken names its holder, and detaching frees it all', async () => {
  const { store, net } = await network();
  const wish = endpointWish(net, 'web', { addresses: [ip('10.128.0.77'), ip('fd12:3456:789a:1::77')] });
  const web = await store.endpointAttach(net, wish);
  assert.deepEqual(web.addresses, wish.addresses);
  const at = await revision(store, net);
  const taken = new RegExp(`\\(${web.id}\\)`);
  await fails(attach(store, net, 'web'), 'name_taken', taken);
  await fails(attach(store, net, 'other', { mac: web.mac }), 'mac_taken', taken);
  await fails(attach(store, net, 'other', { born: web.born }), 'netns_attached', /as endpoint "web"/);
  for (const address of web.addresses) {
    await fails(attach(store, net, 'other', { addresses: [address] }), 'address_taken', /is endpoint "web"/);
  }
  assert.deepEqual(await revision(store, net), at);
  // The same namespace number on another host, after a reboot or of another device is another namespace.
  await attach(store, net, 'n', { born: web.born, node: newId<'node'>() });
  await attach(store, net, 'b', { born: { ...web.born, boot: 'b1' } });
  await attach(store, net, 'd', { born: { ...web.born, dev: 5 } });
  await store.endpointDetach(net.id, web.id);
  // An address asked for need not cool down first.
  const again = await store.endpointAttach(net, { ...wish, id: newId<'endpoint'>() });
  assert.deepEqual(again.addresses, wish.addresses);
});

test('an older agent of a node is refused, in each network it meets', async () => {
  const { store, net } = await network();
  const node = newId<'node'>();
  const one = await attach(store, net, 'one', { node, epoch: 2 });
  await fails(attach(store, net, 'two', { node, epoch: 1 }), 'stale_epoch', /epoch 2, ours is 1/);
  await fails(store.endpointReady(net.id, one.id, 1), 'stale_epoch');
  await store.endpointReady(net.id, one.id, 3);
  await fails(store.endpointAttach(net, endpointWish(net, 'three', { node, epoch: 2 })), 'stale_epoch');
  await attach(store, net, 'other', { epoch: 1 });
});

test("an address asked for must be one of the subnet, and nobody's", async () => {
  const { store, net } = await network({ subnets: [cidr('10.9.0.0/24')] });
  const asks = (address: string, code: 'invalid_input', message: RegExp) =>
    fails(attach(store, net, 'e', { addresses: [ip(address)] }), code, message);
  await asks('10.9.1.1', 'invalid_input', /10\.9\.1\.1 is not in its subnet 10\.9\.0\.0\/24/);
  await asks('10.9.0.0', 'invalid_input', /first or last/);
  await asks('10.9.0.255', 'invalid_input', /first or last/);
  await asks('10.9.0.1', 'invalid_input', /gateway/);
  await asks('fd00::5', 'invalid_input', /no IPv6 subnet/);
  await fails(
    attach(store, net, 'e', { addresses: [ip('10.9.0.5'), ip('10.9.0.6')] }),
    'invalid_input',
    /one address per/,
  );
  assert.deepEqual((await attach(store, net, 'e', { addresses: [ip('10.9.0.254')] })).addresses, ['10.9.0.254']);
});

test('a /29 has five addresses, then none, then the longest freed', async () => {
  const { store, net } = await network({ subnets: [cidr('10.9.0.0/29')] });
  const made = [];
  for (let i = 0; i < 5; i++) made.push(await attach(store, net, `e${i}`));
  assert.deepEqual(made.map(four), ['10.9.0.2', '10.9.0.3', '10.9.0.4', '10.9.0.5', '10.9.0.6']);
  const error = await fails(attach(store, net, 'e5'), 'address_exhausted', /5 addresses, 0 reserved, 5 endpoints/);
  assert.match(error.hint ?? '', /network update/);
  assert.deepEqual(await store.usage(net.id), [{ subnet: '10.9.0.0/29', total: 5, used: 5, reserved: 0, cooling: 0 }]);
  await store.endpointDetach(net.id, made[3]?.id as never);
  await sleep(3);
  await store.endpointDetach(net.id, made[1]?.id as never);
  assert.deepEqual((await store.usage(net.id))[0], {
    subnet: '10.9.0.0/29',
    total: 5,
    used: 3,
    reserved: 0,
    cooling: 2,
  });
  assert.deepEqual(await attach(store, net, 'f1').then(four), '10.9.0.5');
  assert.deepEqual(await attach(store, net, 'f2').then(four), '10.9.0.3');
  await fails(attach(store, net, 'f3'), 'address_exhausted');
});

test('a freed address is not given out again at once, but after its rest', async () => {
  const { store, net } = await network({ subnets: [cidr('10.9.0.0/28')] }, { cooldownMs: 60 });
  const a = await attach(store, net, 'a');
  await store.endpointDetach(net.id, a.id);
  const seen = [four(a)];
  // The cursor walks on even though nothing rests any more.
  for (let i = 0; i < 12; i++) {
    await sleep(i === 0 ? 80 : 0);
    const next = await attach(store, net, `b${i}`);
    assert.ok(!seen.includes(four(next)), `${four(next)} twice`);
    seen.push(four(next));
  }
  assert.equal(await attach(store, net, 'c').then(four), four(a));
});

test('dynamic addresses come from the ranges and leave out what is reserved', async () => {
  const { store, net } = await network({
    subnets: [cidr('10.9.0.0/24')],
    ipRanges: [cidr('10.9.0.64/30'), cidr('10.9.0.0/30'), cidr('10.9.0.252/30')],
    reserved: [ip('10.9.0.65'), ip('10.9.0.200')],
  });
  const got = [];
  for (let i = 0; i < 8; i++) got.push(await attach(store, net, `e${i}`).then(four));
  assert.deepEqual(
    got,
    ['2', '3', '64', '66', '67', '252', '253', '254'].map((n) => `10.9.0.${n}`),
  );
  await fails(attach(store, net, 'e9'), 'address_exhausted', /9 addresses, 1 reserved, 8 endpoints/);
  // Reserved means: only for who asks. Outside the ranges one may ask too.
  const asked = await attach(store, net, 's1', { addresses: [ip('10.9.0.65')] });
  await attach(store, net, 's2', { addresses: [ip('10.9.0.200')] });
  await attach(store, net, 's3', { addresses: [ip('10.9.0.100')] });
  await store.endpointDetach(net.id, asked.id);
  await fails(attach(store, net, 'e10'), 'address_exhausted');
});

test('a reserved address stays reserved after it has cooled down', async () => {
  const { store, net } = await network(
    { subnets: [cidr('10.9.0.0/29')], reserved: [ip('10.9.0.3')] },
    { cooldownMs: 1 },
  );
  const asked = await attach(store, net, 's', { addresses: [ip('10.9.0.3')] });
  await store.endpointDetach(net.id, asked.id);
  await sleep(5);
  const got = [];
  for (let i = 0; i < 4; i++) got.push(await attach(store, net, `e${i}`).then(four));
  assert.deepEqual(got, ['10.9.0.2', '10.9.0.4', '10.9.0.5', '10.9.0.6']);
  await fails(attach(store, net, 'e9'), 'address_exhausted');
});

test('IPv6: any address may be asked for, the first 2^20 are given out', async () => {
  const { store, name, net } = await network({ subnets: [cidr('fd00:0:0:7::/64')] });
  assert.deepEqual((await attach(store, net, 'a')).addresses, ['fd00:0:0:7::2']);
  const far = ['fd00:0:0:7:1::', 'fd00::7:0:1:0:1', 'fd00::7:ffff:ffff:ffff:ffff', 'fd00::7:1:0:1:0'];
  for (const address of far) {
    const made = await attach(store, net, `s${address}`, { addresses: [ip(address)] });
    assert.deepEqual(made.addresses, [address]);
    await fails(attach(store, net, 'x', { addresses: [ip(address)] }), 'address_taken');
    await store.endpointDetach(net.id, made.id);
    await attach(store, net, `t${address}`, { addresses: [ip(address)] });
  }
  const meta = `warren:{${name}/${net.id}}:meta`;
  await redis.server.admin.hset(meta, 'next6', 0xfffff);
  assert.deepEqual((await attach(store, net, 'last')).addresses, ['fd00::7:0:0:f:ffff']);
  assert.deepEqual((await attach(store, net, 'again')).addresses, ['fd00:0:0:7::3']);
  assert.equal((await store.usage(net.id))[0]?.total, 2 ** 20 - 2);
});

test('IPv6 ranges move the window', async () => {
  const { store, net } = await network({
    subnets: [cidr('fd00:0:0:7::/64')],
    ipRanges: [cidr('fd00:0:0:7:5:6:ffff:fffc/126'), cidr('fd00:0:0:7:5:6:ffff:ff00/127')],
  });
  const got = [];
  for (let i = 0; i < 6; i++) got.push(await attach(store, net, `e${i}`).then(four));
  assert.deepEqual(
    got,
    ['ff00', 'ff01', 'fffc', 'fffd', 'fffe', 'ffff'].map((end) => `fd00::7:5:6:ffff:${end}`),
  );
  await fails(attach(store, net, 'x'), 'address_exhausted');
});

test('scripts write IPv6 addresses as we read them', async () => {
  const { store, net } = await network({ subnets: [cidr('fc00::/8')] });
  const seed = Date.now() % 1e9;
  const next = random(seed);
  for (let i = 0; i < 150; i++) {
    let value = 0xfcn;
    for (let group = 0; group < 15; group++) value = (value << 8n) | BigInt(next(3) === 0 ? next(256) : 0);
    const address = fromNumber(value | 2n, 6);
    const made = await attach(store, net, `e${i}`, { addresses: [address] }).catch((error) => error.code);
    if (made !== 'address_taken') assert.deepEqual(made.addresses, [address], `seed ${seed}`);
  }
});

test('two thousand at a time: no address twice, none lost, none special', async () => {
  const seed = Number(process.env.SEED ?? Date.now() % 1e9);
  const next = random(seed);
  const subnets = [cidr('10.9.0.0/21'), cidr('fd00:1::/64')];
  const { store, name } = await redis.cluster({ cooldownMs: 20 });
  const stores = [store, ...Array.from({ length: 3 }, () => redis.open(name, { cooldownMs: 20 }))];
  const net = await store.networkCreate(networkWish('app', { subnets }), []);
  const held = new Map<Ip, string>();
  const live: Endpoint[] = [];
  let made = 0;
  const worker = async (own: Store) => {
    while (made < 2000) {
      if (live.length > 0 && next(10) < 4) {
        const [gone] = live.splice(next(live.length), 1) as [Endpoint];
        // Free for others as soon as the call is sent.
        for (const address of gone.addresses) assert.equal(held.get(address), gone.id, `seed ${seed}`);
        for (const address of gone.addresses) held.delete(address);
        assert.equal((await own.endpointDetach(net.id, gone.id))?.id, gone.id, `seed ${seed}`);
        continue;
      }
      const name = `e${made++}`;
      const wish = endpointWish(net, name);
      const endpoint = await own.endpointAttach(net, wish);
      // The same call again, as after a lost answer.
      if (next(5) === 0) assert.deepEqual(await own.endpointAttach(net, wish), endpoint, `seed ${seed}`);
      assert.equal(endpoint.addresses.length, 2);
      for (const [i, address] of endpoint.addresses.entries()) {
        const subnet = subnets[i] as (typeof subnets)[0];
        const { first, last } = rangeOf(subnet);
        assert.ok(contains(subnet, address), `${address} seed ${seed}`);
        const special = [gatewayOf(subnet), fromNumber(first, i ? 6 : 4), ...(i ? [] : [fromNumber(last, 4)])];
        assert.ok(!special.includes(address), `${address} seed ${seed}`);
        assert.equal(held.get(address), undefined, `${address} twice, seed ${seed}`);
        held.set(address, endpoint.id);
      }
      live.push(endpoint);
    }
  };
  await Promise.all(Array.from({ length: 64 }, (_, i) => worker(stores[i % stores.length] as Store)));
  const listed = await store.endpoints(net.id);
  assert.deepEqual(
    new Map(listed.flatMap(({ id, addresses }) => addresses.map((address) => [address, id]))),
    held,
    `seed ${seed}`,
  );
  const sizes = (await store.usage(net.id)).map(({ used }) => used);
  assert.deepEqual(sizes, [live.length, live.length]);
  // Everything freed, everything rested: the whole subnet can be had again.
  await Promise.all(live.map(({ id }) => store.endpointDetach(net.id, id)));
  await sleep(40);
  const all = await Promise.all(Array.from({ length: 2045 }, (_, i) => attach(store, net, `z${i}`)));
  assert.equal(new Set(all.map(four)).size, 2045);
  await fails(attach(store, net, 'one-more'), 'address_exhausted');
});
