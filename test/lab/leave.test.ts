/**
 * Foreign things are left alone, and a host that leaves is as it was.
 *
 *   host a ──┐   a1 ── "app"
 *   host b ──┴── net0      b1 ── "app", "lan" (internal), "more"
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { NodeJson } from '../../src/control/present.ts';
import { Cluster } from '../support/cluster.ts';
import { type Snapshot, snapshot } from '../support/snapshot.ts';
import { waitFor } from '../support/wait.ts';

let cluster: Cluster;
let before_: Snapshot;
before(async () => {
  cluster = await Cluster.boot({ guests: 2 });
  const { guest } = cluster.b;
  for (const name of ['b1', 'b2']) await guest.ok(`ip netns add ${name}; ip -n ${name} link set lo up`);
  // What the host had before us: links, an FDB entry, a table of the family we use, routes, rules.
  await guest.ok(`
    ip link add fp0 type veth peer name fp1; ip addr add 192.0.2.1/24 dev fp0; ip link set fp0 up; ip link set fp1 up
    ip link add fbr0 type bridge; ip link set fp1 master fbr0; ip link set fbr0 up
    ip link add fvx0 type vxlan id 1048576 dstport 4789 local 10.77.0.2 nolearning; bridge fdb add 02:00:00:00:00:99 dev fvx0 dst 10.77.0.9
    ip route add 198.51.100.0/24 via 192.0.2.9; ip rule add from 198.51.100.1 lookup 100
    nft 'table inet foreign { chain c { type filter hook forward priority 0; policy accept; counter; }; }'
    nft 'table ip warrenish { set s { type ipv4_addr; elements = { 192.0.2.7 }; }; }'`);
  await waitFor(() => guest.ok('ip -6 addr show tentative').then((text) => text === ''), {
    what: 'addresses to settle',
  });
  before_ = await snapshot(guest);
  for (const host of cluster.hosts) {
    await host.init(`--store ${Cluster.store} --advertise eth0`);
    await host.startAgent();
  }
  await cluster.network('app --subnet 10.9.0.0/16 --subnet fd09::/64');
  await cluster.network('lan --internal');
  await cluster.network('more');
  await cluster.a.attach('app', 'a1');
});
after(() => cluster?.stop());

test('foreign things inside our namespaces survive every change and every pass', async () => {
  const { a } = cluster;
  await a.guest.ok(`
    ip -n warren-1048576 link add probe0 type veth peer name probe1; ip -n warren-1048576 link set probe0 master br0 up
    ip -n warren-1048576 addr add 192.0.2.1/24 dev probe1; ip -n warren-1048576 link set probe1 up
    ip -n warren-1048576 route add 198.51.100.0/24 via 192.0.2.9
    bridge -n warren-1048576 fdb add 02:00:00:00:00:99 dev vx0 dst 192.0.2.77 self permanent
    ip -n warren-1048576 neigh add 10.9.250.250 lladdr 02:00:00:00:00:99 dev vx0 nud permanent
    ip netns exec warren-1048576 nft 'table inet foreign { chain c { type filter hook forward priority 0; policy accept; }; }'`);
  const foreign = () =>
    a.guest.ok(`
      ip -n warren-1048576 -o link show probe0; ip -n warren-1048576 -o addr show probe1; ip -n warren-1048576 route show 198.51.100.0/24
      bridge -n warren-1048576 fdb show dev vx0 | grep 02:00:00:00:00:99; ip -n warren-1048576 neigh show 10.9.250.250
      ip netns exec warren-1048576 nft list table inet foreign`);
  await waitFor(() => a.guest.ok('ip -n warren-1048576 -6 addr show tentative').then((text) => text === ''), {
    what: 'the planted addresses to settle',
  });
  const planted = await foreign();
  for (let round = 0; round < 3; round++) {
    await a.attach('app', `x${round}`);
    await a.json('sync --once');
  }
  for (let round = 0; round < 3; round++) await a.json(`detach x${round}`);
  await a.killAgent();
  await a.startAgent();
  await a.json('sync --once');
  assert.equal(await foreign(), planted);
});

test('leave --force leaves the host as it was', async () => {
  const { b } = cluster;
  await b.json('attach app --netns b1');
  await b.json('attach lan --netns b1');
  await b.json('attach more --netns b2');
  assert.equal((await b.inside('b1', 'ping -n -c1 -W2 10.9.0.2')).code, 0, 'it did work');
  assert.equal((await b.warren('leave')).code, 4, 'without --force it refuses while endpoints live here');
  const left = await b.warren('leave --force');
  assert.equal(left.code, 0, left.stderr);
  await waitFor(async () => assert.deepEqual(await snapshot(b.guest), before_) === undefined, {
    what: 'the host to be as it was',
    timeout: 5000,
  });
  for (const netns of ['b1', 'b2']) assert.ok(!(await b.guest.ok(`ip -n ${netns} -o link`)).includes('eth'), netns);
  const nodes = await cluster.a.json<NodeJson[]>('node ls');
  assert.deepEqual(
    nodes.map(({ name }) => name),
    ['a'],
  );
  assert.deepEqual(
    (await cluster.a.json<{ node: string }[]>('endpoint ls')).map(({ node }) => node),
    ['a'],
  );
});

test('it can come back, and leave once more although its store is gone', async () => {
  const { b } = cluster;
  await b.init(`--store ${Cluster.store} --advertise eth0`);
  await b.startAgent();
  await b.json('attach app --netns b1');
  await cluster.lab.net('block a.0 b.0');
  const left = await b.warren('leave --force');
  assert.equal(left.code, 0, left.stderr);
  assert.match(left.stderr, /warren node rm b/);
  await waitFor(async () => assert.deepEqual(await snapshot(b.guest), before_) === undefined, {
    what: 'the host to be as it was',
    timeout: 5000,
  });
  assert.equal((await b.warren('leave --force')).code, 0, 'leaving twice is fine');
});
