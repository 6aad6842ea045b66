/**
 * Agents are killed at random moments, under traffic: no packet is lost, no link is made anew, no attach is forgotten.
 *
 *   host a ──┐   a1 ──┐
 *   host b ──┼── net0 b1 ──┼── "app"     a1 → b1 → c1 → a1 in IPv4 and back in IPv6, a ping every 2 ms each
 *   host c ──┘   c1 ──┘
 *
 * WARREN_SEED=N repeats the moments.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { EndpointJson } from '../../src/control/present.ts';
import { Cluster, type Host } from '../support/cluster.ts';
import { random } from '../support/random.ts';
import { complete, type Flow, traffic } from '../support/traffic.ts';
import { waitFor } from '../support/wait.ts';

const long = Boolean(process.env.WARREN_LONG);
const kills = long ? 24 : 6;
/** The short form ends after so long, however few there were: machines differ by a factor of four. */
const enoughMs = long ? Number.POSITIVE_INFINITY : 3 * 60_000;
/** Seconds. Six flows at the full rate leave the agents little of two processors. */
const interval = long ? 0.002 : 0.01;
/** Pings number their packets with 16 bits. */
const perRound = 6;
const ns = 'warren-1048576';
const seed = Number(process.env.WARREN_SEED ?? Date.now() % 1e9);

let cluster: Cluster;
const first: EndpointJson[] = [];
before(async () => {
  cluster = await Cluster.start();
  await cluster.network('app --subnet 10.9.0.0/16 --subnet fd09::/64');
  for (const host of cluster.hosts) first.push(await host.attach('app', `${host.name}1`));
});
after(() => cluster?.stop());

const links = (): Promise<string[]> =>
  Promise.all(cluster.hosts.map(({ guest }) => guest.ok(`ip -n ${ns} -o link | cut -d: -f1,2`)));

type Attach = { host: Host; netns: string; endpoint?: EndpointJson | undefined; code?: string | undefined };

async function attach(host: Host, netns: string): Promise<Attach> {
  const { result, error } = await host.ask<EndpointJson>('endpoint.attach', {
    network: 'app',
    netns: `/run/netns/${netns}`,
  });
  return { host, netns, endpoint: result, code: error?.code };
}

/** One is killed while it attaches; until it is back, another host attaches too. */
async function kill(n: number, next: (limit: number) => number): Promise<Attach[]> {
  const [victim, other] = cluster.hosts.toSorted(() => next(2) - 0.5) as [Host, Host];
  const [cut, meanwhile] = [`${victim.name}x${n}`, `${other.name}y${n}`];
  await Promise.all([victim.guest.ok(`ip netns add ${cut}`), other.guest.ok(`ip netns add ${meanwhile}`)]);
  const beginning = attach(victim, cut);
  // Anywhere in it, or after it.
  await sleep(next(200));
  await victim.killAgent();
  const during = await attach(other, meanwhile);
  assert.equal(during.code, undefined, `${meanwhile}, while ${victim.name} has no agent`);
  await victim.startAgent();
  const begun = await beginning;
  assert.ok([undefined, 'agent_unreachable'].includes(begun.code), `${cut}: ${begun.code}`);
  return [begun, during];
}

/** What was answered is there, what was not is there in whole or not at all, and all hosts say the same. */
async function allThere(attached: readonly Attach[]): Promise<void> {
  const asked = await Promise.all(cluster.hosts.map((host) => host.ask<EndpointJson[]>('endpoint.list')));
  const lists = asked.map(({ result }) => result);
  const [list = []] = lists;
  for (const other of lists) assert.deepEqual(other, list);
  for (const { state, name } of list) assert.equal(state, 'ready', name);
  for (const { endpoint, netns, host, code } of attached) {
    const found = list.find(({ name }) => name === netns);
    if (!code) assert.equal(found?.id, endpoint?.id, netns);
    const inside = await host.inside(netns, 'ip -o addr show dev eth0');
    for (const address of found?.addresses ?? [])
      assert.ok(inside.stdout.includes(`${address}/`), `${netns} ${address}`);
    if (!found) assert.equal(inside.code, 1, `${netns} has an interface, and nobody knows of it`);
  }
  for (const { guest, name } of cluster.hosts) {
    const fdb = await guest.ok(`bridge -n ${ns} fdb show dev vx0 | awk '/dst/ {print $1, $3}' | sort`);
    const remote = list.filter(({ node }) => node !== name).map(({ mac, vtep }) => `${mac} ${vtep}`);
    assert.equal(fdb.trim(), remote.sort().join('\n'), name);
  }
}

test(`${kills} kills under traffic, WARREN_SEED=${seed}`, { timeout: 10 * 60_000 }, async (t) => {
  const next = random(seed);
  const [a1, b1, c1] = first as [EndpointJson, EndpointJson, EndpointJson];
  const flows: Flow[] = [
    { from: a1, to: b1, family: 4 },
    { from: b1, to: c1, family: 4 },
    { from: c1, to: a1, family: 4 },
    { from: b1, to: a1, family: 6 },
    { from: c1, to: b1, family: 6 },
    { from: a1, to: c1, family: 6 },
  ];
  const before = await links();
  const attached: Attach[] = [];
  let answered = 0;
  const began = performance.now();
  for (let done = 0; done < kills && performance.now() - began < enoughMs; ) {
    const running = await traffic(cluster, flows, interval);
    for (let i = 0; i < perRound; i++) attached.push(...(await kill(++done, next)));
    answered += await complete(cluster, running, perRound * 30);
    await waitFor(async () => (await allThere(attached)) === undefined, {
      what: 'every attach to be known everywhere',
      // What was cut off is withdrawn by a whole pass, and there is one every 30 s.
      timeout: 40_000,
    });
  }
  const now = await links();
  for (const [i, lines] of before.entries())
    for (const line of lines.trim().split('\n')) assert.ok(now[i]?.includes(line), `${line} is gone or another`);
  const cut = attached.filter(({ code }) => code).length;
  t.diagnostic(`seed ${seed}: ${answered} pings, none lost; ${attached.length} attaches, ${cut} of them cut off`);
});

test('a host without an agent says so: exit 5, and nothing is half done', async () => {
  const { a } = cluster;
  await a.killAgent();
  await a.guest.ok('ip netns add nobody');
  const { code, stderr } = await a.warren('attach app --netns nobody');
  assert.equal(code, 5, stderr);
  assert.match(stderr, /no agent answers.*\n?.*warren agent/);
  await a.startAgent();
  assert.equal((await a.inside('nobody', 'ip link show eth0')).code, 1);
});
