/**
 * What goes wrong while keys change: no packet is lost that could pass, none goes in clear, and pairs come back by themselves.
 *
 *   host a ──┐   the store    a1
 *   host b ──┼── net0         b1 ── "app"
 *   host c ──┘                c1
 */
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import type { PairJson } from '../../src/agent/pair-report.ts';
import type { EndpointJson, NodeJson } from '../../src/control/present.ts';
import { Cluster, type Host } from '../support/cluster.ts';
import { complete, type Flow, type Traffic, traffic } from '../support/traffic.ts';
import { waitFor } from '../support/wait.ts';
import { captured } from '../support/wire.ts';

const long = process.env.WARREN_LONG !== undefined;
const rounds = long ? 50 : 4;
/** After the wish for new keys, in milliseconds. */
const moments = long ? Array.from({ length: 24 }, (_, i) => i * 3) : [0, 15];
let cluster: Cluster;
const at = new Map<string, EndpointJson>();
before(async () => {
  cluster = await Cluster.start();
  await cluster.a.json('network create app --subnet 10.9.0.0/24');
  for (const host of cluster.hosts) at.set(host.name, await host.attach('app', `${host.name}1`));
});
after(() => cluster?.stop());

const pairs = async (host: Host): Promise<readonly PairJson[]> => (await host.status()).encryption.peers;
const pair = async (host: Host, node: string): Promise<PairJson> =>
  (await pairs(host)).find((each) => each.node === node) ?? assert.fail(`${host.name} has no pair with ${node}`);

function flow(from: Host, to: Host): Flow {
  const end = ({ name }: Host) => ({
    name: `${name}1`,
    node: name,
    netns: `/run/netns/${name}1`,
    addresses: at.get(name)?.addresses ?? [],
  });
  return { from: end(from), to: end(to), family: 4 };
}

/** Both ways between all. */
const everywhere = (): Flow[] =>
  cluster.hosts.flatMap((from) => cluster.hosts.filter((to) => to !== from).map((to) => flow(from, to)));

async function whole(): Promise<void> {
  await waitFor(
    async () => {
      for (const host of cluster.hosts)
        for (const each of await pairs(host))
          assert.ok(each.up && each.rotating === null, `${host.name}: ${JSON.stringify(each)}`);
      return true;
    },
    { what: 'all pairs to be whole', timeout: 15_000 },
  );
}

const ping = async (from: Host, to: Host): Promise<boolean> =>
  (await from.inside(`${from.name}1`, `ping -n -c1 -W1 ${at.get(to.name)?.addresses[0]}`)).code === 0;

async function reached(from: Host, to: Host): Promise<void> {
  await waitFor(() => ping(from, to), { what: `${from.name} to reach ${to.name}`, timeout: 10_000 });
}

/** All keys the kernel has, by what it calls the SA. */
async function keysOf(host: Host): Promise<Map<string, string>> {
  const text = await host.guest.ok('ip xfrm state');
  const found = text.matchAll(/^src (\S+) dst (\S+)\n\s*proto esp spi (\S+)[\s\S]*?aead \S+ (0x[0-9a-f]+)/gm);
  return new Map([...found].map(([, src, dst, spi, key]) => [`${src} ${dst} ${spi}`, key ?? '']));
}

let running: Traffic[] = [];
beforeEach(async () => {
  running = [];
  await whole();
});
afterEach(() => {
  for (const { job } of running) job.kill('SIGINT');
});

test('both ends at once, again and again: nothing lost, no packet refused', async (t) => {
  running = await traffic(cluster, everywhere(), long ? 0.002 : 0.01);
  const before = (await pair(cluster.b, 'c')).generation ?? 0;
  for (let i = 0; i < rounds; i++) await Promise.all(cluster.hosts.map((host) => host.ask('rekey')));
  await whole();
  assert.ok(((await pair(cluster.b, 'c')).generation ?? 0) >= before + rounds);
  const sent = await complete(cluster, running, 50);
  for (const host of cluster.hosts)
    assert.equal(await host.guest.ok('grep -v "[[:space:]]0$" /proc/net/xfrm_stat || true'), '', host.name);
  t.diagnostic(`${rounds} rotations of three pairs from both ends, ${sent} pings, none lost, all xfrm_stat counters 0`);
});

test('an agent killed at any moment of a rotation, of either end: nothing lost', async () => {
  running = await traffic(cluster, [flow(cluster.b, cluster.c), flow(cluster.c, cluster.b)], long ? 0.005 : 0.02);
  for (const [victim, other] of [
    [cluster.b, cluster.c],
    [cluster.c, cluster.b],
  ] as const) {
    for (const ms of moments) {
      // Not awaited by name: the answer may never come, and the kill must not wait for it.
      const asked = other.ask('rekey', { node: victim.name }).catch(() => undefined);
      await victim.guest.ok(`sleep ${ms / 1000}; true`);
      await victim.killAgent();
      await victim.startAgent();
      await asked;
      await waitFor(async () => (await pair(victim, other.name)).up, { what: `the pair after a kill at ${ms} ms` });
    }
  }
  await whole();
  await complete(cluster, running, long ? 5000 : 200);
});

test('a peer without an agent: the old keys carry on, the new ones come with it', async () => {
  running = await traffic(cluster, [flow(cluster.b, cluster.c), flow(cluster.c, cluster.b)]);
  await cluster.c.killAgent();
  const { generation } = await pair(cluster.b, 'c');
  const answer = await cluster.b.warren('rekey c --json');
  assert.equal(answer.code, 1, 'it says that they are not new yet');
  assert.equal((await pair(cluster.b, 'c')).rotating, 'request');
  await cluster.c.startAgent();
  await whole();
  assert.ok(((await pair(cluster.b, 'c')).generation ?? 0) > (generation ?? 0));
  await complete(cluster, running, 50);
});

test('hosts that do not reach each other rotate by the store, and talk when they do', async () => {
  await cluster.lab.net('block b.0 c.0');
  try {
    assert.deepEqual(
      (await cluster.b.json<{ rekeyed: boolean }[]>('rekey c')).map(({ rekeyed }) => rekeyed),
      [true],
    );
  } finally {
    await cluster.lab.net('unblock b.0 c.0');
  }
  await reached(cluster.b, cluster.c);
});

test('the clock of a host jumps by an hour, there and back: nothing lost', async () => {
  running = await traffic(cluster, [flow(cluster.b, cluster.c), flow(cluster.c, cluster.a)]);
  for (const shift of ['+1 hour', '-2 hours', '+1 hour']) {
    await cluster.c.guest.ok(`date -s '${shift}'`);
    await cluster.c.json('rekey');
    await cluster.b.json('rekey');
    await whole();
  }
  await complete(cluster, running, 50);
});

test('the store restarts empty in the middle of rotations: nothing lost, and rotations go on', async () => {
  running = await traffic(cluster, everywhere());
  const recovered = () => Promise.all(cluster.hosts.map(async (host) => (await host.status()).store.recoveredAt));
  const before = await recovered();
  const asked = cluster.hosts.map((host) => host.ask('rekey').catch(() => undefined));
  await cluster.a.guest.ok('redis-cli -h 10.77.0.1 flushall');
  await Promise.all(asked);
  await waitFor(async () => (await recovered()).every((at, i) => at !== before[i]), {
    what: 'all to have told the store what they hold',
    timeout: 20_000,
  });
  for (const host of cluster.hosts) await host.settled();
  await whole();
  for (const host of cluster.hosts)
    assert.ok(
      (await host.json<{ rekeyed: boolean }[]>('rekey')).every(({ rekeyed }) => rekeyed),
      host.name,
    );
  await complete(cluster, running, 50);
});

test('SAs deleted under traffic: other keys, and none that was used before', async () => {
  const used = new Map<string, string>();
  const remember = async (): Promise<void> => {
    for (const host of cluster.hosts)
      for (const [sa, key] of await keysOf(host)) {
        const before = used.get(key);
        assert.ok(before === undefined || before === sa, `one key as ${before} and as ${sa}`);
        used.set(key, sa);
      }
  };
  running = await traffic(cluster, [flow(cluster.c, cluster.a)]);
  for (const [src, dst] of [
    ['10.77.0.1', '10.77.0.2'],
    ['10.77.0.2', '10.77.0.1'],
  ]) {
    await remember();
    const before = new Set(used.keys());
    await cluster.a.guest.ok(`ip xfrm state deleteall src ${src} dst ${dst} proto esp`);
    await reached(cluster.a, cluster.b);
    await reached(cluster.b, cluster.a);
    await whole();
    const now = await keysOf(cluster.a);
    const between = [...now].filter(([sa]) => sa.startsWith(`${src} ${dst}`));
    assert.ok(between.length > 0 && between.every(([, key]) => !before.has(key)), 'a key came back');
  }
  await remember();
  await complete(cluster, running, 10);
});

test('a store that lies is refused and named: swapped, forged, replayed and foreign announcements', async () => {
  const { guest } = cluster.a;
  const redis = (argv: readonly string[]) => guest.ok(['redis-cli', '-h', '10.77.0.1', ...argv]);
  const nodes = await cluster.a.json<NodeJson[]>('node ls');
  const [a = '', b = '', c = ''] = nodes.map(({ id }) => id);
  const key = (to: string) => `warren:{default}:keys:${to}`;
  const text = async (from: string, to: string) => (await redis(['hget', key(to), from])).replace(/\n$/, '');
  const good = await text(a, b);
  assert.match(good, /^warren announcement 1\n/);
  await cluster.a.json('rekey b');
  const newer = await text(a, b);
  const lies: readonly (readonly [what: string, text: string, reason: RegExp])[] = [
    ['of another pair', await text(a, c), /misplaced/],
    ['with another key', newer.replace(/^generation (\d+) ....../m, 'generation $1 AAAAAA'), /bad_signature|malformed/],
    ['unsigned', newer.replace(/^signature .*\n/m, ''), /malformed/],
    ['of an earlier time', good, /older/],
  ];
  running = await traffic(cluster, [flow(cluster.b, cluster.a)]);
  const { generation } = await pair(cluster.b, 'a');
  for (const [what, lie, reason] of lies) {
    await redis(['hset', key(b), a, lie]);
    await redis(['publish', 'warren:{default}:wake', `keys/${b}`]);
    await waitFor(async () => reason.test(`${(await pair(cluster.b, 'a')).trouble}`), {
      what: `b to refuse one ${what}`,
    });
    assert.match(await guest.ok('cat /lab/b.agent'), /"level":"error".*refused/);
  }
  assert.equal((await pair(cluster.b, 'a')).generation, generation, 'the keys in use stay');
  await redis(['hset', key(b), a, newer]);
  await redis(['publish', 'warren:{default}:wake', `keys/${b}`]);
  await waitFor(async () => (await pair(cluster.b, 'a')).trouble === null, { what: 'the truth to be taken' });
  await whole();
  await complete(cluster, running, 10);
});

test('a host reboots: nothing in clear, and it is back with other keys', async () => {
  const { guest } = cluster.c;
  const seen = await captured(cluster, async () => {
    running = await traffic(cluster, [flow(cluster.b, cluster.a)]);
    await cluster.c.guest.ok('cp -a /var/lib/warren /lab/c-state; cp -a /etc/warren /lab/c-etc');
    const pings = cluster.b.guest.spawn(`ip netns exec b1 ping -n -i 0.01 ${at.get('c')?.addresses[0]}`);
    await guest.kill();
    await guest.start();
    await guest.ok('cp -a /lab/c-state /var/lib/warren; cp -a /lab/c-etc /etc/warren');
    await cluster.c.startAgent();
    at.set('c', await cluster.c.attach('app', 'c1'));
    await reached(cluster.c, cluster.b);
    await reached(cluster.a, cluster.c);
    pings.kill('SIGINT');
    await pings.done;
    await whole();
    await complete(cluster, running, 50);
  });
  assert.equal(seen.clear, 0);
  assert.ok(seen.esp > 0);
});

test('a host made anew under its address is another node; one with another identity is refused until it is trusted', async () => {
  const { guest } = cluster.c;
  await cluster.c.killAgent();
  // Its files are gone, its identity with them: nobody takes it for the old one.
  await guest.ok('mv /var/lib/warren/identity.key /run/identity.key');
  await cluster.c.startAgent();
  const { encryption } = await cluster.c.status();
  assert.deepEqual([encryption.able, encryption.peers], [false, []]);
  assert.match(`${encryption.trouble}`, /identity.*is gone/);
  await cluster.c.stopAgent();
  await cluster.c.init(`--store ${Cluster.store} --advertise eth0`);
  assert.equal((await guest.run('test -e /var/lib/warren/identity.key')).code, 1, 'a playbook gives it no other one');
  await guest.ok(
    'openssl genpkey -algorithm ed25519 -outform DER -out /var/lib/warren/identity.key; chmod 600 /var/lib/warren/identity.key',
  );
  // What was agreed under the old one is gone, as after a reboot.
  await guest.ok('ip xfrm state flush; rm -r /run/warren/keys');
  await cluster.c.startAgent();
  await waitFor(async () => (await pair(cluster.a, 'c')).trouble === 'identity_changed', { what: 'a to refuse it' });
  assert.equal(await ping(cluster.a, cluster.c), false);
  for (const host of [cluster.a, cluster.b]) await host.json('node trust c');
  await reached(cluster.a, cluster.c);
  await reached(cluster.b, cluster.c);
  await cluster.c.stopAgent();
  await guest.ok('ip xfrm state flush; ip netns del c1; rm -rf /var/lib/warren /etc/warren /run/warren');
  // The old one was not removed; of two with one address the one that came last has the keys.
  await cluster.c.init(`--store ${Cluster.store} --advertise eth0 --name c2`);
  await cluster.c.startAgent();
  at.set('c', await cluster.c.attach('app', 'c1', '--name c2'));
  await reached(cluster.a, cluster.c);
  await reached(cluster.c, cluster.b);
  await cluster.a.json('node rm c --force');
  await whole();
  assert.ok(await ping(cluster.a, cluster.c));
});
