import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EndpointId, NetworkId, NodeId } from '../../src/model/id.ts';
import { newId } from '../../src/model/id.ts';
import type { Cidr } from '../../src/model/ip.ts';
import { fromNumber, overlaps } from '../../src/model/ip.ts';
import { firstVni, vniCount } from '../../src/model/network.ts';
import type { Store } from '../../src/store/store.ts';
import { random } from '../support/random.ts';
import { attach, cidr, endpointWish, fails, ip, networkWish, withRedis } from './fixture.ts';

const redis = withRedis();

const revision = async (store: Store) => (await store.registrySince(undefined)).revision;
const n1 = newId<'node'>();
const n2 = newId<'node'>();

test('without a subnet a network takes both families from the pools of the cluster', async () => {
  const { store } = await redis.cluster();
  const wish = networkWish('app');
  const app = await store.networkCreate(wish, []);
  const { allowOverlap: _, ...same } = wish;
  assert.deepEqual(app, {
    ...same,
    vni: firstVni,
    subnets: ['10.128.0.0/20', 'fd12:3456:789a:1::/64'],
    vipPools: ['10.64.0.0/22', 'fd12:3456:789a:8000::/112'],
    published: [],
    members: [],
  });
  const db = await store.networkCreate(networkWish('db'), []);
  assert.deepEqual(db.subnets, ['10.128.16.0/20', 'fd12:3456:789a:2::/64']);
  assert.deepEqual(db.vipPools, ['10.64.4.0/22', 'fd12:3456:789a:8001::/112']);
  assert.equal(db.vni, firstVni + 1);
});

test('with one family named it has only that; lists come IPv4 first', async () => {
  const { store } = await redis.cluster();
  const four = await store.networkCreate(networkWish('four', { subnets: [cidr('10.9.0.0/16')] }), []);
  assert.deepEqual([four.subnets, four.vipPools], [['10.9.0.0/16'], ['10.64.0.0/22']]);
  const six = await store.networkCreate(networkWish('six', { subnets: [cidr('fd00:1::/64')] }), []);
  assert.deepEqual([six.subnets, six.vipPools], [['fd00:1::/64'], ['fd12:3456:789a:8000::/112']]);
  const both = await store.networkCreate(
    networkWish('both', { subnets: [cidr('fd00:2::/64'), cidr('10.10.0.0/24')] }),
    [],
  );
  assert.deepEqual(both.subnets, ['10.10.0.0/24', 'fd00:2::/64']);
  assert.deepEqual(both.vipPools, ['10.64.4.0/22', 'fd12:3456:789a:8001::/112']);
});

test('empty and filled lists and odd texts come back as they were given', async () => {
  const { store } = await redis.cluster();
  const subnets = [cidr('10.9.0.0/16')];
  const odd = { 'a"b\\': 'line\nend ü 😀 {"vni":5}', empty: '', z: '[]', a: '"members":["x"]}' };
  const full = networkWish('full', {
    subnets,
    ipRanges: [cidr('10.9.4.0/24')],
    reserved: [ip('10.9.0.9')],
    labels: odd,
    mtu: 1400,
    internal: true,
  });
  const made = await store.networkCreate(full, []);
  assert.deepEqual([made.ipRanges, made.reserved, made.labels, made.mtu], [full.ipRanges, full.reserved, odd, 1400]);
  await store.networkJoin(full.id, n1);
  const joined = await store.networkJoin(full.id, n2);
  assert.deepEqual(joined, { ...made, members: [n1, n2] });
  await store.networkLeave(full.id, n1);
  await store.networkLeave(full.id, n2);
  const whole = await store.registrySince(undefined);
  assert.ok(whole.kind === 'snapshot');
  assert.deepEqual(whole.snapshot.networks, [made]);
  const bare = await store.networkUpdate(full.id, { labels: {} }, []);
  assert.deepEqual(bare, { ...made, labels: {} });
});

test('creating twice is one network; a taken name names its holder', async () => {
  const { store } = await redis.cluster();
  const wish = networkWish('app');
  const app = await store.networkCreate(wish, []);
  const before = await revision(store);
  assert.deepEqual(await store.networkCreate(wish, []), app);
  assert.deepEqual(await revision(store), before);
  await fails(store.networkCreate(networkWish('app'), []), 'name_taken', new RegExp(app.id));
  assert.deepEqual(await revision(store), before);
});

test('subnets overlap nothing, unless that is wished', async () => {
  const { store } = await redis.cluster();
  const db = await store.networkCreate(
    networkWish('db', { subnets: [cidr('10.9.128.0/17'), cidr('fd00:1:2:3::/64')] }),
    [],
  );
  const table: readonly [subnet: string, avoid: string[], message: RegExp | undefined][] = [
    ['10.9.0.0/16', [], /network "app": subnet 10\.9\.0\.0\/16 overlaps network "db" \(10\.9\.128\.0\/17\)/],
    ['10.9.128.0/17', [], /overlaps network "db"/],
    ['10.9.255.248/29', [], /overlaps network "db"/],
    ['10.8.0.0/13', [], /overlaps network "db"/],
    ['10.9.0.0/17', [], undefined],
    ['10.10.0.0/16', [], undefined],
    ['fd00:1:2:3:ff00::/72', [], /overlaps network "db" \(fd00:1:2:3::\/64\)/],
    ['fd00:1:2::/48', [], /overlaps network "db"/],
    ['fd00:1:2:4::/64', [], undefined],
    ['10.77.0.0/16', ['10.77.5.0/24'], /overlaps 10\.77\.5\.0\/24, which a member already reaches/],
    ['10.77.5.0/28', ['10.77.5.0/24'], /which a member already reaches/],
    ['10.78.0.0/16', ['10.77.5.0/24', 'fd00:9::/48'], undefined],
    ['fd00:9:0:1::/64', ['fd00:9::/48'], /overlaps fd00:9::\/48/],
    ['192.0.2.0/24', ['192.0.2.7/32'], /overlaps 192\.0\.2\.7\/32/],
    [db.vipPools[0] as string, [], /overlaps the virtual IP pool of network "db"/],
    ['fd12:3456:789a:8000::/64', [], /overlaps the virtual IP pool of network "db"/],
  ];
  for (const [subnet, avoid, message] of table) {
    const wish = networkWish('app', { subnets: [cidr(subnet)] });
    const wider = { ...wish, allowOverlap: true };
    if (!message) {
      await store.networkCreate(wish, avoid.map(cidr));
      assert.equal(await store.networkRemove(wish.id, false), true);
    } else {
      await fails(store.networkCreate(wish, avoid.map(cidr)), 'subnet_overlap', message);
      if (/overlaps network/.test(message.source)) {
        assert.deepEqual((await store.networkCreate(wider, avoid.map(cidr))).subnets, [subnet]);
        await store.networkRemove(wish.id, false);
      } else {
        await fails(store.networkCreate(wider, avoid.map(cidr)), 'subnet_overlap', message);
      }
    }
  }
});

test('the pools step over everything in their way, and run dry with a word', async () => {
  const { store } = await redis.cluster();
  await store.networkCreate(networkWish('a', { subnets: [cidr('10.128.0.0/18')] }), []);
  const avoid = [
    '10.64.0.0/13',
    '10.128.64.128/25',
    'fd12:3456:789a:1::1/128',
    'fd12:3456:789a:8001::/64',
    'fd12:3456:789a:2::/63',
  ].map(cidr);
  const b = await store.networkCreate(networkWish('b'), avoid);
  assert.deepEqual(b.subnets, ['10.128.80.0/20', 'fd12:3456:789a:4::/64']);
  assert.deepEqual(b.vipPools, ['10.72.0.0/22', 'fd12:3456:789a:8000::/112']);
  await fails(
    store.networkCreate(networkWish('c'), [cidr('10.0.0.0/8')]),
    'pool_exhausted',
    /IPv4 prefix is left in the pool of subnets/,
  );
  await fails(
    store.networkCreate(networkWish('c'), [cidr('fd12:3456::/32')]),
    'pool_exhausted',
    /IPv6 prefix is left in the pool of subnets/,
  );
  await fails(
    store.networkCreate(networkWish('c', { subnets: [cidr('172.16.0.0/16')] }), [cidr('10.0.0.0/9')]),
    'pool_exhausted',
    /IPv4 prefix is left in the pool of virtual/,
  );
});

test('one family of the pool of subnets goes round, prefixes never overlap', async () => {
  const { store, name } = await redis.cluster();
  await redis.server.admin.hset(`warren:{${name}}:meta`, {
    subnet4: 0xa800 + 2046,
    vip4: 0x29000 + 2047,
    vni: vniCount - 2,
  });
  const made = [];
  for (let i = 0; i < 5; i++) made.push(await store.networkCreate(networkWish(`n${i}`), []));
  assert.deepEqual(
    made.map(({ subnets }) => subnets[0]),
    ['10.255.224.0/20', '10.255.240.0/20', '10.128.0.0/20', '10.128.16.0/20', '10.128.32.0/20'],
  );
  assert.deepEqual(
    made.map(({ vni }) => vni - firstVni),
    [vniCount - 2, vniCount - 1, 0, 1, 2],
  );
  const all = made.flatMap(({ subnets, vipPools }) => [...subnets, ...vipPools]);
  for (const [i, a] of all.entries()) for (const b of all.slice(i + 1)) assert.ok(!overlaps(a, b), `${a} ${b}`);
});

test("a removed network's vni rests; when all are taken there is none", async () => {
  const { store, name } = await redis.cluster();
  const a = await store.networkCreate(networkWish('a'), []);
  await store.networkRemove(a.id, false);
  const b = await store.networkCreate(networkWish('b'), []);
  assert.deepEqual([a.vni, b.vni], [firstVni, firstVni + 1]);
  await redis.server.admin.set(`warren:{${name}}:vnis`, Buffer.alloc(vniCount / 8, 0xff));
  await fails(store.networkCreate(networkWish('c'), []), 'vni_exhausted');
  await store.networkRemove(b.id, false);
  assert.equal((await store.networkCreate(networkWish('c'), [])).vni, b.vni);
});

test('what no pool can be made of is refused', async () => {
  const { store } = await redis.cluster();
  const bad = (more: Parameters<typeof networkWish>[1], message: RegExp) =>
    fails(store.networkCreate(networkWish('app', more), []), 'invalid_input', message);
  await bad({ subnets: [cidr('10.9.0.0/30')] }, /too small/);
  await bad({ subnets: [cidr('fd00::/121')] }, /too small/);
  await bad({ subnets: [cidr('10.9.0.0/24'), cidr('10.8.0.0/24')] }, /one subnet per/);
  await bad({ subnets: [cidr('10.9.0.0/24')], ipRanges: [cidr('10.8.0.0/28')] }, /lies in none/);
  await bad({ subnets: [cidr('10.9.0.0/24')], ipRanges: [cidr('10.9.0.0/23')] }, /lies in none/);
  await bad({ subnets: [cidr('10.9.0.0/24')], reserved: [ip('10.8.0.1')] }, /lies in none/);
  await bad({ ipRanges: [cidr('10.9.0.0/24')] }, /need a subnet/);
});

test('members join and leave once', async () => {
  const { store } = await redis.cluster();
  const { id } = await store.networkCreate(networkWish('app'), []);
  assert.deepEqual((await store.networkJoin(id, n1)).members, [n1]);
  const before = await revision(store);
  assert.deepEqual((await store.networkJoin(id, n1)).members, [n1]);
  assert.deepEqual(await revision(store), before);
  assert.deepEqual((await store.networkJoin(id, n2)).members, [n1, n2]);
  await store.networkLeave(id, n1);
  const after = await revision(store);
  await store.networkLeave(id, n1);
  assert.deepEqual(await revision(store), after);
  const unknown = newId<'network'>();
  await fails(store.networkJoin(unknown, n1), 'network_not_found');
  await store.networkLeave(unknown, n1);
});

test('labels are replaced, subnets only grow', async () => {
  const { store } = await redis.cluster();
  const net = await store.networkCreate(networkWish('app', { subnets: [cidr('10.9.4.0/29')], labels: { a: '1' } }), []);
  await store.networkCreate(networkWish('db', { subnets: [cidr('10.9.8.0/24')] }), []);
  const first = await attach(store, net, 'e1');
  for (const name of ['e2', 'e3', 'e4', 'e5']) await attach(store, net, name);
  await fails(attach(store, net, 'e6'), 'address_exhausted');
  const before = await revision(store);
  assert.deepEqual(await store.networkUpdate(net.id, {}, []), net);
  assert.deepEqual(await store.networkUpdate(net.id, { labels: { a: '1' } }, []), net);
  assert.deepEqual(await revision(store), before);
  await fails(store.networkUpdate(net.id, { subnets: [cidr('10.9.4.0/30')] }, []), 'invalid_input');
  await fails(store.networkUpdate(net.id, { subnets: [cidr('10.9.5.0/24')] }, []), 'invalid_input', /does not contain/);
  await fails(store.networkUpdate(net.id, { subnets: [cidr('fd00::/64')] }, []), 'invalid_input', /does not contain/);
  await fails(store.networkUpdate(net.id, { subnets: [cidr('10.9.0.0/20')] }, []), 'subnet_overlap', /"app".*"db"/);
  await fails(
    store.networkUpdate(net.id, { subnets: [cidr('10.9.4.0/24')] }, [cidr('10.9.4.64/32')]),
    'subnet_overlap',
    /already reaches/,
  );
  await fails(store.networkUpdate(newId<'network'>(), { labels: {} }, []), 'network_not_found');
  const grown = await store.networkUpdate(net.id, { subnets: [cidr('10.9.0.0/21')], labels: { b: '2' } }, []);
  assert.deepEqual(grown, { ...net, subnets: ['10.9.0.0/21'], labels: { b: '2' } });
  assert.deepEqual(await store.networkUpdate(net.id, { subnets: [cidr('10.9.0.0/21')] }, []), grown);
  // The old record is good enough to attach with, the taken addresses stay taken.
  assert.deepEqual((await attach(store, net, 'e6')).addresses, ['10.9.0.2']);
  await fails(attach(store, grown, 'e7', { addresses: first.addresses }), 'address_taken', /"e1"/);
  assert.deepEqual((await attach(store, grown, 'e7', { addresses: [ip('10.9.4.1')] })).addresses, ['10.9.4.1']);
});

test('a slot that missed the growth catches up when it matters', async () => {
  const { store, name } = await redis.cluster();
  const net = await store.networkCreate(networkWish('app', { subnets: [cidr('10.9.4.0/29')] }), []);
  const key = `warren:{${name}/${net.id}}:meta`;
  const pool = (await redis.server.admin.hget(key, 'pool4')) as string;
  await store.networkUpdate(net.id, { subnets: [cidr('10.9.4.0/24')] }, []);
  await redis.server.admin.hset(key, 'pool4', pool);
  for (let i = 0; i < 12; i++) await attach(store, net, `e${i}`);
  await redis.server.admin.hset(key, 'pool4', pool);
  await attach(store, net, 'static', { addresses: [ip('10.9.4.200')] });
  assert.equal(new Set((await store.endpoints(net.id)).flatMap(({ addresses }) => addresses)).size, 13);
});

test('a network in use stays, then nothing of it is left', async () => {
  const { store, name } = await redis.cluster();
  const net = await store.networkCreate(networkWish('app'), []);
  const endpoint = await attach(store, net, 'e1');
  await fails(store.networkRemove(net.id, false), 'network_in_use', /"app" has 1 endpoint$/);
  await attach(store, net, 'e2');
  await fails(store.networkRemove(net.id, false), 'network_in_use', /2 endpoints/);
  await store.endpointDetach(net.id, endpoint.id);
  assert.equal(await store.networkRemove(net.id, true), true);
  assert.equal(await store.networkRemove(net.id, true), false);
  assert.equal(await store.networkRemove(net.id, false), false);
  assert.equal(await store.networkSince(net.id, undefined), undefined);
  assert.equal(await store.endpointCount(net.id), 0);
  await fails(store.endpoints(net.id), 'network_not_found');
  await fails(store.usage(net.id), 'network_not_found');
  await fails(attach(store, net, 'e3'), 'network_not_found');
  await fails(store.endpointReady(net.id, endpoint.id, 1), 'network_not_found');
  await fails(store.networkJoin(net.id, n1), 'network_not_found');
  assert.equal(await store.endpointDetach(net.id, endpoint.id), undefined);
  const left = await redis.server.admin.keys(`warren:{${name}/${net.id}}:*`);
  assert.deepEqual(left, [`warren:{${name}/${net.id}}:meta`]);
  assert.ok((await redis.server.admin.ttl(left[0] as string)) > 0);
  assert.equal((await store.networkCreate(networkWish('app'), [])).name, 'app');
});

test('a removal that died half-way is finished by the next', async () => {
  const { store, name } = await redis.cluster();
  const admin = redis.server.admin;
  const net = await store.networkCreate(networkWish('app'), []);
  const slot = `warren:{${name}/${net.id}}:meta`;
  // After the first step: closed, but in the registry.
  await admin.hset(slot, 'state', 'closing');
  await fails(attach(store, net, 'e1'), 'network_closing');
  await fails(store.networkJoin(net.id, n1), 'network_closing');
  assert.equal(await store.networkRemove(net.id, false), true);
  // After the second: the registry has forgotten it, its slot is still there.
  const two = await store.networkCreate(networkWish('two'), []);
  await admin.hset(`warren:{${name}/${two.id}}:meta`, 'state', 'closing');
  await admin.hdel(`warren:{${name}}:networks`, two.id);
  await admin.sadd(`warren:{${name}}:purges`, two.id);
  const three = await store.networkCreate(networkWish('three'), []);
  await store.networkRemove(three.id, false);
  assert.equal(await store.networkSince(two.id, undefined), undefined);
  assert.deepEqual(await admin.smembers(`warren:{${name}}:purges`), []);
});

test('a slot that was never opened is opened by who needs it, unless the network is going', async () => {
  const { store, name } = await redis.cluster();
  const admin = redis.server.admin;
  const net = await store.networkCreate(networkWish('app'), []);
  const lose = async () => admin.del(...(await admin.keys(`warren:{${name}/${net.id}}:*`)));
  await lose();
  assert.equal(await store.networkSince(net.id, undefined), undefined);
  assert.deepEqual(await store.endpoints(net.id), []);
  assert.deepEqual((await attach(store, net, 'e1')).addresses.length, 2);
  await lose();
  await store.networkJoin(net.id, n1);
  assert.equal((await store.networkSince(net.id, undefined))?.revision.n, 0);
  await lose();
  assert.equal(await store.networkRemove(net.id, false), true);
  await fails(attach(store, net, 'e1'), 'network_not_found');
});

test('attaching while the network is removed leaves nothing behind', async () => {
  const { store, name } = await redis.cluster();
  for (let round = 0; round < 30; round++) {
    const net = await store.networkCreate(networkWish(`n${round}`), []);
    const other = redis.open(name);
    const results = await Promise.allSettled([
      ...Array.from({ length: 6 }, (_, i) => store.endpointAttach(net, endpointWish(net, `e${i}`))),
      other.networkRemove(net.id, round % 2 === 0),
      ...Array.from({ length: 6 }, (_, i) => other.endpointAttach(net, endpointWish(net, `f${i}`))),
    ]);
    const removed = results[6]?.status === 'fulfilled';
    const listed = await redis.server.admin.keys(`warren:{${name}/${net.id}}:*`);
    if (removed) assert.equal(listed.length, 1, String(listed));
    else assert.ok((await store.endpoints(net.id)).length > 0);
    await other.close();
  }
});

test('a slot of another layout, or of another history of the registry, is left alone', async () => {
  const { store, name } = await redis.cluster();
  const net = await store.networkCreate(networkWish('app'), []);
  const wish = endpointWish(net, 'e1');
  await store.endpointAttach(net, wish);
  const meta = `warren:{${name}/${net.id}}:meta`;
  const root = await redis.server.admin.hget(meta, 'root');
  const calls = [
    () => attach(store, net, 'e2'),
    () => store.endpointReady(net.id, wish.id, 1),
    () => store.endpointDetach(net.id, wish.id),
    () => store.networkJoin(net.id, n1),
    () => store.networkRemove(net.id, true),
  ];
  await redis.server.admin.hset(meta, 'schema', '99');
  const reads = [() => store.usage(net.id), () => store.endpoints(net.id), () => store.networkSince(net.id, undefined)];
  for (const call of [...calls, ...reads]) await fails(call(), 'store_schema', /layout 99/);
  await redis.server.admin.hset(meta, { schema: '1', root: 'another' });
  for (const call of calls) await fails(call(), 'store_lost_writes');
  await redis.server.admin.hset(meta, { root });
  assert.equal(await store.endpointCount(net.id), 1);
  assert.equal((await store.endpoints(net.id))[0]?.state, 'starting');
  assert.equal((await attach(store, net, 'e2')).name, 'e2');
});

test('growing counts only what the subnet did not overlap before', async () => {
  const { store } = await redis.cluster();
  await store.networkCreate(networkWish('a', { subnets: [cidr('10.9.0.0/25')] }), []);
  await store.networkCreate(networkWish('b', { subnets: [cidr('10.9.1.0/24')] }), []);
  const c = await store.networkCreate(networkWish('c', { subnets: [cidr('10.9.0.64/26')], allowOverlap: true }), []);
  assert.deepEqual((await store.networkUpdate(c.id, { subnets: [cidr('10.9.0.0/24')] }, [])).subnets, ['10.9.0.0/24']);
  await fails(store.networkUpdate(c.id, { subnets: [cidr('10.9.0.0/23')] }, []), 'subnet_overlap', /network "b"/);
  // The grown prefix is the one others are compared with, and gone with its network.
  const d = networkWish('d', { subnets: [cidr('10.9.0.192/26')] });
  await fails(store.networkCreate(d, []), 'subnet_overlap', /network "c" \(10\.9\.0\.0\/24\)/);
  await store.networkRemove(c.id, false);
  assert.deepEqual((await store.networkCreate(d, [])).subnets, ['10.9.0.192/26']);
});

test('random prefixes: the index finds what comparing all of them finds', async () => {
  const seed = Number(process.env.SEED ?? Date.now() % 1e9);
  const next = random(seed);
  const { store } = await redis.cluster();
  const held = new Map<string, Cidr>();
  for (let i = 0; i < 300; i++) {
    const four = next(2) === 0;
    const length = four ? 8 + next(22) : 8 + next(113);
    const bits = four ? 32 : 128;
    // Few bits differ, so that many touch; far from our own pools.
    let value = four
      ? 0xac100000n | BigInt(next(1 << 16))
      : (0x2001n << 112n) | (BigInt(next(64)) << BigInt(next(112)));
    value = (value >> BigInt(bits - length)) << BigInt(bits - length);
    const subnet = cidr(`${fromNumber(value, four ? 4 : 6)}/${length}`);
    const wish = networkWish(`n${i}`, { subnets: [subnet], allowOverlap: next(3) === 0 });
    const touched = [...held.values()].filter((other) => overlaps(other, subnet));
    const made = await store.networkCreate(wish, []).catch((error) => error.code);
    const expected = touched.length > 0 && !wish.allowOverlap ? 'subnet_overlap' : 'made';
    assert.equal(typeof made === 'string' ? made : 'made', expected, `${subnet} against ${touched}, seed ${seed}`);
    if (expected === 'made') held.set(wish.id, subnet);
    const gone = [...held.keys()][next(held.size)] as NetworkId;
    if (next(4) === 0 && held.delete(gone)) await store.networkRemove(gone, false);
  }
});

test('types: ids stay what they are', async () => {
  const { store } = await redis.cluster();
  const ids: [NetworkId, EndpointId, NodeId] = [newId(), newId(), newId()];
  assert.equal(await store.endpointDetach(ids[0], ids[1]), undefined);
  assert.equal(await store.nodeRemove(ids[2]), false);
});
