/**
 * The store hangs, is slow, takes no writes, comes back empty, comes back older: no packet is lost, nothing is forgotten.
 *
 *   host a ──┐  redis  a1 ──┐
 *   host b ──┼── net0  b1 ──┼── "app"  10.9.0.0/16  fd09::/64      a1 → b1 → c1 → a1, a ping every 10 ms
 *   host c ──┘         c1 ──┘
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ClusterJson } from '../../src/control/limits.ts';
import type { EndpointJson, NetworkJson } from '../../src/control/present.ts';
import { Cluster, type Host } from '../support/cluster.ts';
import { complete, type Traffic, traffic } from '../support/traffic.ts';
import { waitFor } from '../support/wait.ts';

const ns = 'warren-1048576';
const redis = 'redis-server --daemonize yes --bind 10.77.0.1 127.0.0.1 --protected-mode no --save "" --dir /run';
const kill9 = 'kill -9 $(pidof redis-server)';
let cluster: Cluster;
let networks: NetworkJson[];
const endpoints: EndpointJson[] = [];
let rounds = 0;

/** a1 → b1 → c1 → a1, every 10 ms. */
function pings(): Promise<Traffic[]> {
  const [a1, b1, c1] = endpoints as [EndpointJson, EndpointJson, EndpointJson];
  rounds++;
  return traffic(cluster, [
    { from: a1, to: b1, family: 4 },
    { from: b1, to: c1, family: 6 },
    { from: c1, to: a1, family: 4 },
  ]);
}

const links = (): Promise<string[]> =>
  Promise.all(cluster.hosts.map(({ guest }) => guest.ok(`ip -n ${ns} -o link | cut -d: -f1,2`)));
const logOf = (host: Host): string => readFileSync(join(cluster.lab.share, `${host.name}.agent`), 'utf8');
const times = (host: Host, words: string): number => logOf(host).split(words).length - 1;

/** Break it under traffic: afterwards everything is as before, and an attach gets an address of its own. */
async function survives(harm: () => Promise<void>): Promise<void> {
  const before = await links();
  const running = await pings();
  const began = performance.now();
  await harm();
  // A wish that the store took when nobody waited for it any more is withdrawn as soon as its node hears of it.
  await waitFor(
    async () => {
      const listed = await cluster.a.json<EndpointJson[]>('endpoint ls');
      assert.deepEqual(listed.map(short).sort(), endpoints.map(short).sort());
      return true;
    },
    { what: 'the list to be as before', timeout: 5000 },
  );
  const known = await cluster.b.json<NetworkJson[]>('network ls');
  assert.deepEqual(
    known.map(({ endpoints: _, ...each }) => each),
    networks.map(({ endpoints: _, ...each }) => each),
  );
  const taken = new Set(endpoints.flatMap(({ addresses }) => addresses));
  const fresh = await cluster.c.attach('app', `n${rounds}`);
  for (const address of fresh.addresses) assert.ok(!taken.has(address), `${address} was given out twice`);
  endpoints.push(fresh);
  const [a1] = endpoints as [EndpointJson];
  assert.equal((await cluster.c.inside(`n${rounds}`, `ping -n -c1 -W2 ${a1.addresses[0]}`)).code, 0);
  await complete(cluster, running, ((performance.now() - began) / 1000) * 15);
  const now = await links();
  for (const [i, lines] of before.entries())
    for (const line of lines.trim().split('\n')) assert.ok(now[i]?.includes(line), `${line} is gone or another`);
  for (const host of cluster.hosts) assert.ok(!/is lost: somebody else has/.test(logOf(host)), host.name);
}

const short = ({ id, name, node, addresses, mac, state }: EndpointJson): string =>
  JSON.stringify([id, name, node, addresses, mac, state]);

async function recovered(hosts: readonly Host[], harm: () => Promise<unknown>): Promise<void> {
  const words = 'the store has what this node holds';
  const before = hosts.map((host) => times(host, words));
  await harm();
  await waitFor(() => hosts.every((host, i) => times(host, words) > (before[i] ?? 0)), {
    what: `${hosts.map(({ name }) => name)} to recover`,
    timeout: 10_000,
  });
}

const metaOfApp = (): string => `warren:{default/${networks.find(({ name }) => name === 'app')?.id}}:meta`;

async function redisAnswers(): Promise<void> {
  await waitFor(() => cluster.a.guest.run('redis-cli ping | grep -q PONG').then(({ code }) => code === 0), {
    what: 'redis',
  });
}

before(async () => {
  cluster = await Cluster.start();
  networks = [await cluster.network('app --subnet 10.9.0.0/16 --subnet fd09::/64')];
  for (const host of cluster.hosts) endpoints.push(await host.attach('app', `${host.name}1`));
});
after(() => cluster?.stop());

describe('it comes back as it was', () => {
  test('hanging for 10 s: attach exits 5, and all goes on when it answers again', () =>
    survives(async () => {
      await cluster.a.guest.ok('kill -STOP $(pidof redis-server)');
      await cluster.b.guest.ok('ip netns add early');
      const [attach] = await Promise.all([cluster.b.warren('attach app --netns early'), sleep(10_000)]);
      assert.equal(attach.code, 5, attach.stderr);
      await cluster.a.guest.ok('kill -CONT $(pidof redis-server)');
      await cluster.b.settled();
    }));

  test('slow: attach takes its time', () =>
    survives(async () => {
      const loop = 'for i in $(seq 9); do kill -STOP $p; sleep 0.4; kill -CONT $p; sleep 0.1; done';
      const slow = cluster.a.guest.spawn(`p=$(pidof redis-server); ${loop}`);
      endpoints.push(await cluster.b.attach('app', 'slow'));
      await slow.done;
    }));

  test('read-only: attach exits 5', () =>
    survives(async () => {
      await cluster.a.guest.ok('redis-cli config set min-replicas-to-write 1');
      await cluster.b.guest.ok('ip netns add readonly');
      const attach = await cluster.b.warren('attach app --netns readonly');
      assert.equal(attach.code, 5, attach.stderr);
      await cluster.a.guest.ok('redis-cli config set min-replicas-to-write 0');
    }));
});

/** As when the answer to an attach is lost: the store has a wish that nobody waits for. */
const abandon = `local doc = redis.call('HGET', KEYS[3], ARGV[1]):gsub('"state":"ready"', '"state":"starting"')
  redis.call('HSET', KEYS[3], ARGV[1], doc)
  redis.call('XADD', KEYS[2], redis.call('HINCRBY', KEYS[1], 'rev', 1) .. '-1', 'kind', 'endpoint', 'id', ARGV[1], 'value', doc)`;

test('an endpoint whose attach could not be finished is withdrawn', async () => {
  const left = await cluster.b.attach('app', 'left');
  const keys = ['meta', 'changes', 'endpoints'].map((key) => `warren:{default/${networks[0]?.id}}:${key}`);
  await cluster.a.guest.ok(['redis-cli', 'eval', abandon, '3', ...keys, left.id]);
  await cluster.b.json('sync --once');
  await waitFor(async () => (await cluster.b.guest.run('ip -n left link show eth0')).code === 1, {
    what: 'its interface to go',
  });
  assert.deepEqual(
    (await cluster.a.json<EndpointJson[]>('endpoint ls')).map(short).sort(),
    endpoints.map(short).sort(),
  );
});

describe('bounds, and a backup', () => {
  test('full: what is new is refused, what is there goes on and can leave', () =>
    survives(async () => {
      const { a, b } = cluster;
      const brief = await b.attach('app', 'brief');
      await a.guest.ok('redis-cli config set maxmemory 1');
      await b.guest.ok('ip netns add full');
      const attach = await b.warren('attach app --netns full --json');
      assert.deepEqual([attach.code, JSON.parse(attach.stdout).error.code], [5, 'store_full'], attach.stdout);
      assert.equal((await b.warren(`detach ${brief.id}`)).code, 0);
      const { warnings } = await a.status();
      assert.match(warnings.join('\n'), /% of its memory/);
      await a.guest.ok('redis-cli config set maxmemory 0');
    }));

  test('a limit of the cluster: exit 4, and no trace', async () => {
    const { a, b } = cluster;
    const limit = `cluster set --max-networks ${networks.length} --max-endpoints ${endpoints.length} --max-services 0`;
    const { count, limits } = await a.json<ClusterJson>(limit);
    assert.deepEqual([count.endpoints, limits.endpoints, limits.services], [endpoints.length, endpoints.length, 0]);
    for (const argv of [
      'attach app --netns full',
      'network create more',
      'service create web --network app --port 80',
    ]) {
      const refused = await b.warren(`${argv} --json`);
      assert.deepEqual([refused.code, JSON.parse(refused.stdout).error.code], [4, 'quota_exceeded'], refused.stdout);
    }
    assert.deepEqual((await a.json<EndpointJson[]>('endpoint ls')).map(short).sort(), endpoints.map(short).sort());
    const all = await a.json<ClusterJson>('cluster set --max-networks none --max-endpoints none --max-services none');
    assert.deepEqual(all.limits, { networks: null, endpoints: null, services: null });
  });

  test('a network removed by mistake is back with its containers; of another nobody notices', () =>
    survives(async () => {
      const { a, b, c } = cluster;
      const gone = await cluster.network('gone');
      const [g1, g2] = [await a.attach('gone', 'g1'), await b.attach('gone', 'g2')];
      await a.json('backup /run/saved.json');
      assert.equal((await a.guest.ok('stat -c %a /run/saved.json')).trim(), '600');
      await c.json('network rm gone --force');
      assert.equal((await a.guest.run('ip -n g1 link show eth0')).code, 1, 'it is gone');
      assert.equal((await a.warren('restore /run/saved.json')).code, 4, 'not unasked');
      await recovered(cluster.hosts, () => a.json('restore /run/saved.json --force'));
      await waitFor(() => a.inside('g1', `ping -n -c1 -W1 ${g2.addresses[0]}`).then(({ code }) => code === 0), {
        what: 'g1 to reach g2',
        timeout: 15_000,
      });
      endpoints.push(g1, g2);
      networks.push(gone);
    }));
});

describe('it comes back with less', () => {
  test('empty', () =>
    survives(() =>
      recovered(cluster.hosts, async () => {
        await cluster.a.guest.ok(`${kill9}; sleep 1; rm -f /run/dump.rdb; ${redis}`);
        await redisAnswers();
      }),
    ));

  test('older, without the last endpoint and the last network', async () => {
    await cluster.a.guest.ok('redis-cli save && cp /run/dump.rdb /run/old.rdb');
    const [late, more] = await Promise.all([cluster.b.attach('app', 'late'), cluster.network('other')]);
    endpoints.push(late);
    networks.push(more);
    networks.sort((a, b) => a.name.localeCompare(b.name));
    // a and b saw both, c the network.
    await survives(() =>
      recovered(cluster.hosts, async () => {
        await cluster.a.guest.ok(`${kill9}; sleep 1; cp /run/old.rdb /run/dump.rdb; ${redis}`);
        await redisAnswers();
      }),
    );
  });

  test('empty while an agent is down: its containers go on, and it tells what it holds when it comes', () =>
    survives(async () => {
      // What a caller was told stays true, however soon after that the agent dies.
      endpoints.push(await cluster.c.attach('app', 'last'));
      await cluster.c.killAgent();
      await recovered([cluster.a, cluster.b], async () => {
        await cluster.a.guest.ok(`${kill9}; sleep 1; rm -f /run/dump.rdb; ${redis}`);
        await redisAnswers();
        // A playbook that runs just then must not make another cluster.
        const init = await cluster.c.warren(`init --store ${Cluster.store} --advertise eth0`);
        assert.ok(init.code === 0 || /has forgotten cluster/.test(init.stderr), init.stderr);
      });
      // c has all the time it needs to speak, however long this takes.
      await cluster.a.guest.ok(['redis-cli', 'hset', metaOfApp(), 'awaitedUntil', '99999999999999']);
      await cluster.a.guest.ok('ip netns add early');
      const [attach, listed] = await Promise.all([
        cluster.a.warren('attach app --netns early'),
        cluster.b.json<EndpointJson[]>('endpoint ls'),
      ]);
      assert.equal(attach.code, 5, attach.stdout);
      assert.match(attach.stderr, /has not told yet/);
      assert.deepEqual(listed.map(short).sort(), endpoints.map(short).sort());
      await recovered([cluster.c], () => cluster.c.startAgent());
      const { store } = await cluster.c.status();
      assert.deepEqual([store.frozen, store.conflicts], [false, []]);
      assert.ok(store.recoveredAt);
    }));
});

test('an address somebody else took meanwhile: the endpoint that lost goes, and status says so', async () => {
  const loser = await cluster.b.attach('app', 'loser');
  await cluster.b.killAgent();
  await recovered([cluster.a, cluster.c], async () => {
    await cluster.a.guest.ok(`${kill9}; sleep 1; rm -f /run/dump.rdb; ${redis}`);
    await redisAnswers();
  });
  // b has had its time to speak.
  await cluster.a.guest.ok(['redis-cli', 'hset', metaOfApp(), 'awaitedUntil', '1']);
  const taker = await cluster.a.attach('app', 'taker', `--ip ${loser.addresses[0]}`);
  assert.equal((await cluster.b.inside('loser', 'ip link show eth0')).code, 0, 'nobody tells b yet');
  await recovered([cluster.b], () => cluster.b.startAgent());
  await waitFor(async () => (await cluster.b.inside('loser', 'ip link show eth0')).code === 1, {
    what: 'its interface to go',
  });
  const { store } = await cluster.b.status();
  assert.deepEqual(
    store.conflicts.map(({ name, code, holder }) => [name, code, holder]),
    [['loser', 'address_taken', taker.id]],
  );
  for (const [host, netns] of [
    [cluster.b, 'b1'],
    [cluster.c, 'c1'],
  ] as const)
    assert.equal((await host.inside(netns, `ping -n -c1 -W2 ${taker.addresses[0]}`)).code, 0, netns);
});
