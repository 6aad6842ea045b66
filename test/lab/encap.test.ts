/**
 * ESP in UDP, for pairs between which protocol 50 does not pass, and where it is wished for.
 *
 *   host a ──┐ ╳ no ESP from and to b      a1
 *   host b ──┼── net0                      b1 ── "app"
 *   host c ──┘                             c1
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { PairJson } from '../../src/agent/pair-report.ts';
import type { EndpointJson, NetworkJson, NodeJson } from '../../src/control/present.ts';
import { Cluster, type Host } from '../support/cluster.ts';
import { complete, type Flow, traffic } from '../support/traffic.ts';
import { soon, waitFor } from '../support/wait.ts';
import { captured } from '../support/wire.ts';
import type { Job } from './job.ts';

let cluster: Cluster;
const at = new Map<string, EndpointJson>();

const encryption = async (host: Host) => (await host.status()).encryption;
const pair = async (host: Host, peer: Host): Promise<PairJson> =>
  (await encryption(host)).peers.find(({ node }) => node === peer.name) ?? assert.fail();
const encapOf = async (host: Host, peer: Host): Promise<string | null> => (await pair(host, peer)).encap;
const holders = async (host: Host): Promise<number[]> =>
  (await host.guest.ok('pidof warren-holder || true')).trim().split(' ').filter(Boolean).map(Number);

async function attachAll(): Promise<void> {
  at.clear();
  for (const host of cluster.hosts) at.set(host.name, await host.attach('app', `${host.name}1`));
}

const address = (host: Host): string => at.get(host.name)?.addresses[0] ?? assert.fail(host.name);
const reaches = async (from: Host, to: Host, options = ''): Promise<boolean> =>
  (await from.inside(`${from.name}1`, `ping -n -c1 -W1 ${options} ${address(to)}`)).code === 0;

function flow(from: Host, to: Host): Flow {
  const end = ({ name }: Host) => ({
    name: `${name}1`,
    node: name,
    netns: `/run/netns/${name}1`,
    addresses: at.get(name)?.addresses ?? [],
  });
  return { from: end(from), to: end(to), family: 4 };
}

/** All links of all endpoints, and full packets between all. */
async function mtuIs(mtu: number): Promise<void> {
  const links = async (host: Host) => {
    const { name } = host;
    const own = await host.guest.json<{ mtu: number }[]>(`ip -n ${name}1 -j link show eth0`);
    const network = await host.guest.json<{ mtu: number }[]>('ip -n warren-1048576 -j link show vx0');
    return [...own, ...network].map((link) => link.mtu);
  };
  await waitFor(
    async () =>
      assert.deepEqual(new Set((await Promise.all(cluster.hosts.map(links))).flat()), new Set([mtu])) === undefined,
    {
      what: `all links to have MTU ${mtu}`,
      timeout: 15_000,
    },
  );
  const [app] = await cluster.a.json<NetworkJson[]>('network ls');
  assert.equal(app?.mtu, mtu);
  for (const from of cluster.hosts) {
    for (const to of cluster.hosts.filter((host) => host !== from)) {
      assert.ok(await reaches(from, to, `-M do -s ${mtu - 28}`), `${from.name} to ${to.name}: ${mtu}`);
      assert.ok(!(await reaches(from, to, `-M do -s ${mtu - 27}`)), `${from.name} to ${to.name}: ${mtu + 1}`);
    }
  }
}

/** When each answer of a running `ping -D` came, and the longest time without one, in milliseconds. */
function longestGap(stdout: string): number {
  const times = [...stdout.matchAll(/^\[([\d.]+)\].*ttl/gm)].map(([, time]) => Number(time));
  return Math.round(Math.max(...times.slice(1).map((time, i) => time - (times[i] ?? time))) * 1000);
}

/** Between two hosts, from now on. */
async function dropEsp(one: Host, two: Host): Promise<void> {
  for (const [host, other] of [
    [one, two],
    [two, one],
  ] as const) {
    const rule = `ip saddr ${other.guest.address()} ip protocol esp drop`;
    await host.guest.ok(
      `nft 'table netdev filter { chain c { type filter hook ingress device "eth0" priority -500; ${rule}; }; }'`,
    );
  }
}

describe('found out', () => {
  before(async () => {
    cluster = await Cluster.start();
    await cluster.a.json('network create app --subnet 10.9.0.0/24');
    await dropEsp(cluster.a, cluster.b);
    await attachAll();
  });
  after(() => cluster?.stop());

  test('a pair whose ESP does not pass goes over to UDP by itself, others stay as they are', async () => {
    const { a, b, c } = cluster;
    assert.ok(await reaches(a, c), 'nobody else waits for it');
    const began = Date.now();
    await waitFor(async () => (await reaches(a, b)) && (await reaches(b, a)), { what: 'a and b', timeout: 10_000 });
    console.log(`${Date.now() - began} ms until packets pass in UDP`);
    assert.deepEqual([await encapOf(a, b), await encapOf(b, a)], ['udp', 'udp']);
    assert.deepEqual([await encapOf(a, c), await encapOf(c, a), await encapOf(c, b)], ['esp', 'esp', 'esp']);
    const nodes = await a.json<NodeJson[]>('node ls');
    assert.deepEqual(
      nodes.map(({ encryption }) => encryption.encap),
      [null, 'udp', 'esp'],
    );
    assert.deepEqual(
      (await Promise.all(cluster.hosts.map(holders))).map(({ length }) => length),
      [1, 1, 0],
    );
    const seen = await captured(cluster, async () => {
      for (const to of [b, c]) for (let i = 0; i < 5; i++) assert.ok(await reaches(a, to));
    });
    const between = (host: Host) => `host ${a.guest.address()} and host ${host.guest.address()}`;
    assert.equal(seen.clear, 0);
    assert.deepEqual([seen.count(`esp and ${between(b)}`), seen.count(`udp port 4500 and ${between(c)}`)], [0, 0]);
    assert.ok(seen.count(`udp port 4500 and ${between(b)}`) >= 10 && seen.count(`esp and ${between(c)}`) >= 10);
  });

  test('packets of exactly 1408 bytes pass everywhere, one byte more does not', () => mtuIs(1408));

  test('new keys, killed agents, and an agent that comes to a running holder: no packet is lost', async () => {
    const { a, b, c } = cluster;
    const before = await holders(a);
    const running = await traffic(cluster, [flow(a, b), flow(b, a), flow(a, c)]);
    assert.ok((await a.json<{ rekeyed: boolean }[]>('rekey')).every(({ rekeyed }) => rekeyed));
    await a.killAgent();
    await b.killAgent();
    await Promise.all([a.startAgent(), b.startAgent()]);
    assert.ok((await b.json<{ rekeyed: boolean }[]>('rekey')).every(({ rekeyed }) => rekeyed));
    await complete(cluster, running, 100);
    assert.deepEqual([await encapOf(a, b), await encapOf(a, c)], ['udp', 'esp']);
    assert.deepEqual([await holders(a), (await encryption(a)).holder?.pid], [before, before[0]]);
    await mtuIs(1408);
  });

  test('ESP that stops passing in the middle of a session: found by what arrives, and in UDP within seconds', async () => {
    const { a, c } = cluster;
    const job = a.guest.spawn(`exec ip netns exec a1 ping -n -D -i 0.05 -W1 ${address(c)}`);
    await waitFor(() => /icmp_seq=5 /.test(job.stdout), { what: 'answers' });
    assert.equal(await encapOf(a, c), 'esp');
    await dropEsp(a, c);
    await waitFor(async () => (await encapOf(a, c)) === 'udp', { what: 'UDP', timeout: 20_000 });
    await waitFor(() => reaches(a, c), { what: 'a to reach c', timeout: 5000 });
    job.kill('SIGINT');
    const gap = longestGap((await job.done).stdout);
    console.log(`${gap} ms without an answer when ESP stopped passing`);
    assert.ok(gap > 1000 && gap < 15_000, `${gap} ms`);
    assert.equal(await encapOf(cluster.c, cluster.b), 'esp');
  });

  test('what was found out stays so while the host runs', async () => {
    const { a, c } = cluster;
    for (const host of cluster.hosts) await host.guest.run('nft delete table netdev filter');
    const running = await traffic(cluster, [flow(a, c), flow(c, a)]);
    await c.killAgent();
    await c.startAgent();
    await c.json('rekey');
    await complete(cluster, running, 50);
    assert.deepEqual([await encapOf(a, c), await encapOf(c, a), await encapOf(c, cluster.b)], ['udp', 'udp', 'esp']);
  });

  test('the holder killed: traffic is back within 2 s, whoever started it', async () => {
    const { a, b } = cluster;
    for (const whose of ['adopted', 'its own']) {
      const [pid] = await holders(a);
      const job = a.guest.spawn(`exec ip netns exec a1 ping -n -D -i 0.02 -W1 ${address(b)}`);
      await waitFor(() => /icmp_seq=5 /.test(job.stdout), { what: 'answers' });
      await a.guest.ok(`kill -9 ${pid}`);
      await waitFor(async () => (await holders(a)).some((each) => each !== pid), { what: 'another', timeout: 3000 });
      await waitFor(() => reaches(a, b), { what: 'traffic', timeout: 3000 });
      job.kill('SIGINT');
      const gap = longestGap((await job.done).stdout);
      console.log(`${whose}: nothing for ${gap} ms`);
      assert.ok(gap < soon(2000), `${gap} ms`);
    }
  });

  test('it is small, and has nothing of the agent', async () => {
    const [pid] = await holders(cluster.a);
    const { guest } = cluster.a;
    const status = await guest.ok(`cat /proc/${pid}/status`);
    const [, kilobytes] = /VmRSS:\s+(\d+) kB/.exec(status) ?? [];
    console.log(`holder: ${kilobytes} kB resident`);
    assert.ok(Number(kilobytes) < 3000, status);
    const files = await guest.ok(`readlink /proc/${pid}/fd/* /proc/${pid}/cwd; cut -d' ' -f6 /proc/${pid}/stat`);
    assert.match(files, new RegExp(`^(/dev/null\n){3}socket:\\[\\d+\\]\n/\n${pid}\n$`));
  });

  test('a file that names another process is not believed: nobody is killed for it', async () => {
    const { a } = cluster;
    await a.killAgent();
    const held = JSON.parse(await a.guest.read('/run/warren/holder.json')) as { pid: number };
    await a.guest.ok(`kill ${held.pid}`);
    const other = a.guest.spawn('exec sleep 1000');
    const pid = await waitFor(async () => Number(await a.guest.ok('pidof sleep || true')), { what: 'sleep' });
    await a.guest.write('/run/warren/holder.json', JSON.stringify({ ...held, pid }), '600');
    await a.startAgent();
    await waitFor(() => reaches(a, cluster.b), { what: 'traffic', timeout: 5000 });
    assert.ok(!other.ended && (await holders(a)).length === 1);
    other.kill('SIGKILL');
  });

  test('one whose file was lost is found', async () => {
    const { a } = cluster;
    const before = await holders(a);
    await a.killAgent();
    await a.guest.ok('rm -r /run/warren');
    await a.startAgent();
    await waitFor(() => reaches(a, cluster.b), { what: 'traffic', timeout: 10_000 });
    assert.deepEqual([await holders(a), (await encryption(a)).holder?.pid], [before, before[0]]);
  });

  test('leave ends it, and the port is free', async () => {
    const { a } = cluster;
    assert.equal((await a.warren('leave --force')).code, 0);
    assert.deepEqual(await holders(a), []);
    assert.equal(await a.guest.ok('ss -Hulpn sport = :4500; ip xfrm state; ip xfrm policy'), '');
  });
});

describe('wished for, over IPv6', () => {
  let thief: Job;
  before(async () => {
    cluster = await Cluster.boot();
    const { a, b, c } = cluster;
    for (const host of cluster.hosts) {
      const options = host === a ? '--encap udp' : '';
      await host.init(`--store ${Cluster.store} --advertise ${host.guest.address(6)} ${options}`);
    }
    thief = b.guest.spawn(`exec ${process.execPath} -e "require('dgram').createSocket('udp6').bind(4500)"`);
    await waitFor(async () => (await b.guest.ok('ss -Hulpn sport = :4500')) !== '', { what: 'the port to be taken' });
    await Promise.all([a, b, c].map((host) => host.startAgent()));
    await a.json('network create app --subnet 10.9.0.0/24');
    await attachAll();
  });
  after(() => cluster?.stop());

  test('where the port is taken it is said, nothing goes in clear, and what needs no UDP works', async () => {
    const { a, b, c } = cluster;
    const seen = await captured(cluster, async () => {
      assert.ok(await reaches(a, c), 'in UDP from the start');
      assert.ok(await reaches(b, c), 'in ESP');
      assert.ok(!(await reaches(a, b)) && !(await reaches(b, a)));
    });
    assert.deepEqual([await encapOf(a, c), await encapOf(b, c), await encapOf(a, b)], ['udp', 'esp', null]);
    assert.ok(seen.clear === 0 && seen.udp > 0 && seen.esp > 0, JSON.stringify(seen));
    const { holder, peers } = await encryption(b);
    assert.ok(holder && !holder.up && holder.trouble);
    assert.match(holder.trouble, /port 4500 is used by another program/);
    assert.equal(peers.find(({ node }) => node === 'a')?.trouble, 'no_udp_port');
    await cluster.network('open --subnet 10.8.0.0/24');
    await a.attach('open', 'a2');
    const open = await b.attach('open', 'b2');
    assert.equal((await a.inside('a2', `ping -n -c1 -W2 ${open.addresses[0]}`)).code, 0);
  });

  test('when it is free again everything goes, by 1388 bytes', async () => {
    const { a, b } = cluster;
    thief.kill('SIGKILL');
    await waitFor(async () => (await reaches(a, b)) && (await reaches(b, a)), { what: 'a and b', timeout: 10_000 });
    assert.deepEqual([await encapOf(a, b), await encapOf(b, a)], ['udp', 'udp']);
    assert.equal((await encryption(b)).holder?.trouble, null);
    await mtuIs(1388);
  });

  test('the setting goes away, under traffic: back to ESP and 1396 bytes, no packet lost', async () => {
    const { a, b, c } = cluster;
    const running = await traffic(cluster, [flow(a, b), flow(b, c), flow(c, a)]);
    await a.stopAgent();
    await a.startAgent('--encap auto');
    await waitFor(async () => (await encapOf(a, b)) === 'esp' && (await encapOf(c, a)) === 'esp', { what: 'ESP' });
    await waitFor(async () => (await pair(a, b)).rotating === null, { what: 'rest' });
    await complete(cluster, running, 50);
    await mtuIs(1396);
  });
});
