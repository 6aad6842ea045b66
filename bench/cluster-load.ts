import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { endpointMac } from '../src/model/endpoint.ts';
import { newId } from '../src/model/id.ts';
import type { Cidr, Ip } from '../src/model/ip.ts';
import { openStore } from '../src/store/redis.ts';
import { attachTo, createApp } from './attach.ts';
import { type Bench, root, rssOf, scratch, sh, storeUrl } from './place.ts';
import { monotonicMs } from './stats.ts';

/** Processes that fake agents are spread over. */
const crowds = 4;

/** One of them. */
class Crowd {
  readonly process: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor(network: string, first: number, count: number) {
    const args = ['--import', 'tsx', `${root}bench/fake-agents.ts`, storeUrl, network, `${first}`, `${count}`];
    this.process = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'], cwd: root });
    this.#lines = createInterface({ input: this.process.stdout as NodeJS.ReadableStream })[Symbol.asyncIterator]();
  }

  say(line: string): void {
    this.process.stdin?.write(`${line}\n`);
  }

  /** The numbers of its next line, which must begin with the word. */
  async hear(word: string): Promise<number[]> {
    const { value, done } = await this.#lines.next();
    const [first, ...rest] = String(value).split(' ');
    if (done || first !== word) throw new Error(`fake agents: ${value} instead of ${word}`);
    return rest.map(Number);
  }
}

type Work = { requests: number; seconds: number; bytes: number };

/** What the store has done so far: what clients asked for, all of it scripts, and its processor's time. And what it holds. */
async function workOf(redis: Redis): Promise<Work> {
  const info = `${await redis.info()}\n${await redis.info('commandstats')}`;
  const sum = (pattern: RegExp) => [...info.matchAll(pattern)].reduce((total, [, number]) => total + Number(number), 0);
  return {
    requests: sum(/^cmdstat_(?:evalsha\w*|eval|ping):calls=(\d+)/gm),
    seconds: sum(/^used_cpu_(?:user|sys):([\d.]+)/gm),
    bytes: sum(/^used_memory:(\d+)/gm),
  };
}

/** A few real endpoints of a real agent: what each asks of the store, and what the agent asks when nothing happens. */
const one: Bench = async ({ a }, report, quick) => {
  const redis = new Redis({ path: `${scratch}/redis.sock`, disableClientInfo: true });
  const client = await a.startAgent();
  await a.said('in the cluster');
  await createApp(client);
  const count = quick ? 16 : 64;
  for (let i = 0; i <= count; i++) sh(`ip netns add w${i}`);
  await attachTo(client, `w${count}`);
  const seconds = quick ? 10 : 60;
  const before = await workOf(redis);
  await sleep(seconds * 1000);
  const rest = await workOf(redis);
  const ids: string[] = [];
  for (let i = 0; i < count; i++) ids.push((await attachTo(client, `w${i}`)).id);
  const attached = await workOf(redis);
  for (const endpoint of ids) await client.call('endpoint.detach', { endpoint });
  const detached = await workOf(redis);
  const atRest = (rest.requests - before.requests) / seconds;
  const took = { attach: attached.requests - rest.requests, detach: detached.requests - attached.requests };
  report({ bench: 'store, at rest', what: 'one agent', unit: 'requests/min', values: [atRest * 60] });
  // What the lease and the poll ask for meanwhile is a small part of one request each.
  for (const [what, requests] of Object.entries(took))
    report({ bench: 'store, requests', what, unit: 'requests', values: [requests / count] });
  client.close();
  redis.disconnect();
};

/** Many agents, all in one network, each with many endpoints: every mirror has to hear of every one of them. */
async function many(agents: number, each: number, report: Parameters<Bench>[1], quick: boolean): Promise<void> {
  const redis = new Redis({ path: `${scratch}/redis.sock`, disableClientInfo: true });
  const store = openStore(storeUrl, 'default');
  const name = `n${agents}`;
  const createdAt = new Date().toISOString();
  const facts = { underlay: '10.98.0.1' as Ip, underlayMtu: 1500, routes: [], version: '0' };
  const wish = { id: newId<'node'>(), name: `one${agents}`, role: 'worker' as const, joinedAt: createdAt, ...facts };
  const { id: node } = await store.nodeRegister(wish);
  const { epoch } = await store.nodeStart(node, facts, 3_600_000);
  const network = await store.networkCreate(
    {
      ...{
        id: newId<'network'>(),
        name,
        subnets: [`10.${agents}.0.0/16` as Cidr],
        ipRanges: [],
        reserved: [],
        mtu: 'auto',
      },
      ...{ encrypted: false, internal: false, labels: {}, allowOverlap: true, createdAt },
    },
    [],
  );
  const bench = `store, ${agents} agents of ${each}`;
  const share = agents / crowds;
  const all = Array.from({ length: crowds }, (_, i) => new Crowd(name, i * share, share));
  await Promise.all(all.map((crowd) => crowd.hear('ready')));
  const empty = all.map(({ process: { pid = 0 } }) => rssOf(pid));
  const before = await workOf(redis);

  const began = monotonicMs();
  for (const crowd of all) crowd.say(`attach ${each}`);
  const took = (await Promise.all(all.map((crowd) => crowd.hear('attached')))).flat();
  const delta = await store.networkSince(network.id, undefined);
  const last = delta?.revision.n ?? Number.NaN;
  const agreed = await there(all, `until ${last}`);
  const filled = await workOf(redis);
  report({ bench, what: 'attach, both writes', unit: 'ms', values: took });
  report({ bench, what: 'until all mirrors agree', unit: 's', values: [(agreed - began) / 1000] });
  report({ bench, what: 'processor of the store', unit: 's', values: [filled.seconds - before.seconds] });
  report({ bench, what: 'memory of the store', unit: 'MB', values: [(filled.bytes - before.bytes) / 2 ** 20] });
  const grown = all.map(({ process: { pid = 0 } }, i) => (rssOf(pid) - (empty[i] ?? 0)) / share);
  report({ bench, what: 'memory of an agent’s mirror', unit: 'MB', values: grown });

  const seconds = quick ? 5 : 20;
  const resting = await workOf(redis);
  await sleep(seconds * 1000);
  const rested = await workOf(redis);
  const perMinute = ((rested.requests - resting.requests) / seconds / agents) * 60;
  report({ bench, what: 'at rest, an agent', unit: 'requests/min', values: [perMinute] });
  const busy = ((rested.seconds - resting.seconds) / seconds) * 100;
  report({ bench, what: 'at rest, the store', unit: '% of a processor', values: [busy] });

  const seen: number[] = [];
  for (let i = 0; i < (quick ? 20 : 200); i++) {
    const id = newId<'endpoint'>();
    const asked = monotonicMs();
    const known = there(all, `seen ${id}`);
    await store.endpointAttach(network, {
      ...{ id, network: network.id, node, epoch, name: `one${i}`, addresses: [], mac: endpointMac(id) },
      ...{ netns: `/run/netns/one${i}`, born: { boot: 'one', dev: 4, inode: i }, ifname: 'eth0' },
      ...{ defaultRoute: true, backend: null, labels: {}, createdAt },
    });
    seen.push((await known) - asked);
  }
  report({ bench, what: 'one attach, until all have it', unit: 'ms', values: seen });
  for (const crowd of all) crowd.process.kill('SIGKILL');
  // The next has a registry of its own size.
  const registry = await store.registrySince(undefined);
  const nodes = registry.kind === 'snapshot' ? registry.snapshot.nodes : [];
  for (const { id, name } of nodes) if (name.startsWith(`n${agents}-`)) await store.nodeRemove(id);
  redis.disconnect();
  await store.close();
}

/** When the last of the mirrors had it. */
async function there(all: readonly Crowd[], question: string): Promise<number> {
  for (const crowd of all) crowd.say(question);
  return Math.max(...(await Promise.all(all.map((crowd) => crowd.hear('there')))).flat());
}

export const clusterLoad: Bench = async (place, report, quick) => {
  await one(place, report, quick);
  await place.a.stopAgent();
  for (const agents of quick ? [20] : [48, 100, 200]) await many(agents, quick ? 10 : 100, report, quick);
};
