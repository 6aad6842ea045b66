/**
 * What a cluster whose first host runs its store lives through, without hands and without a packet lost where nothing is cut.
 *
 *   host a ──┐  the store, its files on a disk of 64 MB     a1 ──┐
 *   host b ──┼── net0                                       b1 ──┼── "app", encrypted
 *   host c ──┘                                              c1 ──┘
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { EndpointJson, NodeJson } from '../../src/control/present.ts';
import { Cluster, type Host } from '../support/cluster.ts';
import { complete, traffic } from '../support/traffic.ts';
import { waitFor } from '../support/wait.ts';

const long = process.env.WARREN_LONG !== undefined;
/** Without hands everything is as before within this long after its cause has ended; twice as long as alone, for the labs beside it. */
const healed = 10_000;
let cluster: Cluster;
const endpoints: EndpointJson[] = [];
let fresh = 0;

before(async () => {
  // Thirty that join at once are thirty processes, on one host.
  cluster = await Cluster.joined(long ? { memory: '3G' } : {}, async (a) => {
    await a.guest.ok('mkdir -p /var/lib/warren && mount -t tmpfs -o size=64m tmpfs /var/lib/warren');
  });
  await cluster.a.json('network create app --subnet 10.9.0.0/16');
  for (const host of cluster.hosts) endpoints.push(await host.attach('app', `${host.name}1`));
});
after(() => cluster?.stop());

type Name = 'a' | 'b' | 'c';
const at = (name: Name) => endpoints.find(({ netns }) => netns.endsWith(`/${name}1`)) ?? assert.fail(name);
const statuses = async (host: Host): Promise<Record<string, string>> => {
  const { result = [] } = await host.ask<NodeJson[]>('node.list');
  return Object.fromEntries(result.map(({ name, status }) => [name, status]));
};

/** Attaches again and again until it can. */
async function attaches(host: Host): Promise<EndpointJson> {
  const netns = `f${++fresh}`;
  await host.guest.ok(`ip netns add ${netns}`);
  return waitFor(() => host.json<EndpointJson>(`attach app --netns ${netns}`), {
    what: `an attach on ${host.name}`,
    timeout: 20_000,
  });
}

async function refused(host: Host): Promise<string> {
  const netns = `f${++fresh}`;
  await host.guest.ok(`ip netns add ${netns}`);
  const { code, stderr } = await host.warren(`attach app --netns ${netns}`);
  assert.equal(code, 5, stderr);
  return stderr;
}

/** Harm under traffic between those pairs; when it has ended, all is as before, in time, and no address is given twice. */
async function survives(
  pairs: readonly (readonly [Name, Name])[],
  harm: () => Promise<() => Promise<unknown>>,
): Promise<void> {
  const flows = pairs.map(([from, to]) => ({ from: at(from), to: at(to), family: 4 as const }));
  const running = await traffic(cluster, flows);
  const mend = await harm();
  const ended = performance.now();
  await mend();
  await waitFor(
    async () => {
      for (const host of cluster.hosts)
        assert.deepEqual(await statuses(host), { a: 'up', b: 'up', c: 'up' }, host.name);
      return true;
    },
    { what: 'everybody to be up', timeout: healed },
  );
  const taken = new Set(endpoints.flatMap(({ addresses }) => addresses));
  const [one, two] = await Promise.all([attaches(cluster.b), attaches(cluster.c)]);
  console.log(`new endpoints on b and c ${Math.round(performance.now() - ended)} ms after the end of it`);
  for (const address of [...one.addresses, ...two.addresses]) {
    assert.ok(!taken.has(address), `${address} was given out twice`);
    taken.add(address);
  }
  endpoints.push(one, two);
  for (const [host, { addresses }] of [
    [cluster.b, two],
    [cluster.c, one],
    [cluster.a, one],
  ] as const)
    assert.equal((await host.inside(`${host.name}1`, `ping -n -c1 -W2 ${addresses[0]}`)).code, 0, host.name);
  await complete(cluster, running, 100);
}

const everybody = [
  ['a', 'b'],
  ['b', 'c'],
  ['c', 'a'],
] as const;

describe('faults', () => {
  test('the store is dead, nobody restarts it, and things change', () =>
    survives(everybody, async () => {
      const { a, b, c } = cluster;
      await a.killAgent();
      await a.guest.ok('kill -9 $(pidof redis-server)');
      const until = performance.now() + (long ? 60_000 : 8000);
      const seen = new Set<string>();
      await refused(b);
      await c.guest.ok('ip netns del f0 2>/dev/null; ip netns add f0');
      while (performance.now() < until) {
        for (const status of Object.values(await statuses(b))) seen.add(status);
        await sleep(200);
      }
      assert.ok(!seen.has('down'), 'nobody is found dead for want of a store');
      return () => a.startAgent();
    }));

  test('hosts are cut off from the store, not from one another', () =>
    survives(everybody, async () => {
      const { a, b } = cluster;
      await a.guest.ok(
        'nft add table inet cut && nft "add chain inet cut in { type filter hook input priority 0; }" && nft add rule inet cut in iif eth0 tcp dport 7651 drop',
      );
      await refused(b);
      await sleep(long ? 60_000 : 7000);
      assert.deepEqual(
        Object.values(await statuses(a)).filter((status) => status === 'down'),
        [],
      );
      return () => a.guest.ok('nft delete table inet cut');
    }));

  test('the network falls apart: a with the store here, b and c there', () =>
    survives(
      [
        ['b', 'c'],
        ['c', 'b'],
      ],
      async () => {
        const { a, b, c, lab } = cluster;
        await lab.net('set a.0 up 0');
        await waitFor(
          async () => {
            assert.deepEqual(await statuses(a), { a: 'up', b: 'down', c: 'down' });
            return true;
          },
          { what: 'a to find the others dead', timeout: 10_000 },
        );
        await Promise.all([refused(b), refused(c)]);
        // What a can do alone, it does.
        await attaches(a).then((endpoint) => endpoints.push(endpoint));
        await sleep(long ? 30_000 : 1);
        return () => lab.net('set a.0 up 1');
      },
    ));

  test('an agent stands still, and goes on as if it had not', () =>
    survives(everybody, async () => {
      const { a, c } = cluster;
      const { agent } = await c.settled();
      await c.guest.ok(`kill -STOP ${agent.pid}`);
      await waitFor(async () => (await statuses(a)).c === 'stale', { what: 'c to be stale', timeout: 12_000 });
      endpoints.push(await attaches(a));
      await a.json('network create meanwhile');
      await sleep(long ? 25_000 : 1);
      return async () => {
        await c.guest.ok(`kill -CONT ${agent.pid}`);
        const last = endpoints.at(-1) ?? assert.fail();
        await waitFor(async () => (await c.inside('c1', `ping -n -c1 -W1 ${last.addresses[0]}`)).code === 0, {
          what: 'c to know the new endpoint',
          timeout: healed,
        });
        await a.json('network rm meanwhile');
      };
    }));

  test('the disk is full where the store and its host’s agent write', () =>
    survives(everybody, async () => {
      const { a, b } = cluster;
      await a.guest.run('dd if=/dev/zero of=/var/lib/warren/ballast bs=64k 2>/dev/null');
      // The store finds out with what it writes next.
      const why = await waitFor(
        async () => {
          const netns = `f${++fresh}`;
          await b.guest.ok(`ip netns add ${netns}`);
          const { code, stderr } = await b.warren(`attach app --netns ${netns}`);
          assert.equal(code, 5);
          return stderr;
        },
        { what: 'an attach to be refused', timeout: 10_000 },
      );
      assert.match(why, /read-only|disk|No space/i);
      await a.killAgent();
      return async () => {
        await a.guest.ok('rm /var/lib/warren/ballast');
        await a.startAgent();
      };
    }));
});

/** Hosts of their own, each in a namespace of host c with an address that all reach. */
test('many join at once', async () => {
  const { a, b, c } = cluster;
  const count = long ? 30 : 6;
  const names = Array.from({ length: count }, (_, i) => `j${i + 1}`);
  await c.guest.ok('ip link add many type bridge && ip addr add 10.78.0.254/24 dev many && ip link set many up');
  for (const host of [a, b]) await host.guest.ok('ip route add 10.78.0.0/24 via 10.77.0.3');
  for (const [i, name] of names.entries())
    await c.guest.ok(
      `ip netns add ${name} && ip link add ${name} type veth peer name eth0 netns ${name} && ip link set ${name} master many up && ` +
        `ip -n ${name} addr add 10.78.0.${i + 1}/24 dev eth0 && ip -n ${name} link set eth0 up && ip -n ${name} link set lo up && ` +
        `ip -n ${name} route add default via 10.78.0.254`,
    );
  const { token } = await a.json<{ token: string }>(`token worker --uses ${count}`);
  await c.guest.write('/tmp/many', token, '600');
  const began = performance.now();
  const ends = await Promise.all(
    names.map((name) => {
      const own = `WARREN_CONFIG=/run/${name}/config.yaml WARREN_STATE_DIR=/run/${name}/state WARREN_RUN_DIR=/run/${name}/run`;
      return c.guest.run(`${own} ip netns exec ${name} warren join - 10.77.0.1 --name ${name} </tmp/many`, {
        timeout: 120_000,
      });
    }),
  );
  console.log(`${count} hosts joined at once in ${((performance.now() - began) / 1000).toFixed(1)} s`);
  for (const { code, stderr } of ends) assert.equal(code, 0, stderr);
  const { result: nodes = [] } = await a.ask<NodeJson[]>('node.list');
  const joined = nodes.filter(({ name }) => names.includes(name));
  assert.deepEqual(joined.map(({ name }) => name).sort(), [...names].sort());
  assert.equal(new Set(joined.map(({ address }) => address)).size, count);
  const more = await c.guest.run(
    `WARREN_CONFIG=/run/x/config.yaml WARREN_STATE_DIR=/run/x/state WARREN_RUN_DIR=/run/x/run ip netns exec j1 warren join - 10.77.0.1 --name x --json </tmp/many`,
  );
  assert.notEqual(more.code, 0, 'the token is used up');
});
