import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AgentClient } from '../src/agent/protocol.ts';
import type { Bench } from './place.ts';
import { rssOf, scratch, sh } from './place.ts';
import { batch, cni, Floor, iproute } from './rivals.ts';

const addresses = ['10.9.0.0/16', 'fd09::/64'];
export const createApp = (client: AgentClient, fields: Record<string, unknown> = {}): Promise<unknown> =>
  client.call('network.create', { name: 'app', subnets: addresses, encrypted: false, ...fields });
export const attachTo = (client: AgentClient, netns: string, fields: Record<string, unknown> = {}) =>
  client.call('endpoint.attach', { network: 'app', netns: `/run/netns/${netns}`, ...fields }) as Promise<{
    id: string;
  }>;

async function timed<T>(work: () => Promise<T>): Promise<[number, T]> {
  const began = performance.now();
  const result = await work();
  return [performance.now() - began, result];
}

/** Another endpoint comes and goes, with 1 and with 1000 there. In turn: warren, the floor, now and then iproute2 and CNI. */
export const attach: Bench = async ({ a }, report, quick) => {
  const floor = new Floor(a);
  const client = await a.startAgent();
  await a.said('in the cluster');
  await createApp(client);
  const pool = 64;
  for (const prefix of ['w', 'f', 'i', 'c']) await floor.run(`netns ${prefix} ${pool}`);
  await floor.run('netns wm 1000');
  await floor.run('netns fm 1000');
  await floor.network();
  sh(iproute.network('byhand', 7_000_000));
  const plugin = cni();
  if (!plugin)
    process.stderr.write('bench: no CNI plugins to compare with: apt-get install containernetworking-plugins\n');
  await attachTo(client, 'wm0');
  await floor.run('attach /run/netns/fm0');
  let serial = 0;

  for (const there of [1, 1000]) {
    if (there === 1000) {
      for (let i = 1; i < 1000; i++) {
        await attachTo(client, `wm${i}`);
        await floor.run(`attach /run/netns/fm${i}`);
      }
      report({ bench: 'memory, 1000 local', what: 'agent RSS', unit: 'MB', values: [rssOf(a.agentPid)] });
      await sleep(2000);
    }
    const times: Record<'attach' | 'detach', Record<string, number[]>> = { attach: {}, detach: {} };
    const note = (verb: 'attach' | 'detach', what: string, ms: number): void => {
      times[verb][what] ??= [];
      times[verb][what].push(ms);
    };
    const samples = quick ? 128 : 1024;
    for (let i = 0; i < samples; i++) {
      const at = i % pool;
      const [attached, endpoint] = await timed(() => attachTo(client, `w${at}`));
      note('attach', 'warren', attached);
      note('attach', 'floor', await floor.run(`attach /run/netns/f${at}`));
      const [detached] = await timed(() => client.call('endpoint.detach', { endpoint: endpoint.id }));
      note('detach', 'warren', detached);
      note('detach', 'floor', await floor.run(`detach /run/netns/f${at}`));
      if (at === pool - 1) await floor.run('sweep');
      if (i % 32 !== 0) continue;
      const n = serial++;
      const parts = [
        batch('ip', 'byhand', iproute.hostEnd(n, `i${at}`)),
        batch('bridge', 'byhand', iproute.hostFdb(n)),
        batch('ip', `i${at}`, iproute.inside(n)),
      ];
      note('attach', 'ip -batch', sum(parts));
      note('detach', 'ip -batch', batch('ip', 'byhand', `link del wip${n}`));
      if (!plugin) continue;
      note('attach', 'CNI bridge', plugin.add(`c${at}`));
      note('detach', 'CNI bridge', plugin.del(`c${at}`));
    }
    for (const verb of ['attach', 'detach'] as const) {
      for (const [what, values] of Object.entries(times[verb])) {
        report({ bench: `${verb}, ${there} there`, what, unit: 'ms', values });
      }
    }
  }
  report({ bench: 'memory, 1000 local', what: 'agent RSS after churn', unit: 'MB', values: [rssOf(a.agentPid)] });
  client.close();
  floor.stop();
};

/** The first endpoint of a network on a host: the network is built for it, and goes with it. */
export const firstAttach: Bench = async ({ a }, report, quick) => {
  const floor = new Floor(a);
  const client = await a.startAgent();
  await a.said('in the cluster');
  await createApp(client);
  await floor.run('netns w 1');
  const [ours, theirs, last]: [number[], number[], number[]] = [[], [], []];
  for (let i = 0; i < (quick ? 10 : 50); i++) {
    const [ms, { id }] = await timed(() => attachTo(client, 'w0'));
    ours.push(ms);
    last.push((await timed(() => client.call('endpoint.detach', { endpoint: id })))[0]);
    await floor.run('netns f 1');
    theirs.push((await floor.network()) + (await floor.run('attach /run/netns/f0')));
    await floor.run('drop');
    await floor.run('unnetns f 1');
    await sleep(100);
  }
  report({ bench: 'first attach', what: 'warren', unit: 'ms', values: ours });
  report({ bench: 'first attach', what: 'floor (without nft)', unit: 'ms', values: theirs });
  report({ bench: 'last detach', what: 'warren', unit: 'ms', values: last });
  client.close();
  floor.stop();
};

/** From the request on a until an endpoint on b, which asks all the time, has its first reply. */
export const reach: Bench = async ({ a, b }, report, quick) => {
  const floors = [new Floor(a), new Floor(b)] as const;
  const clients = [await a.startAgent(), await b.startAgent()] as const;
  await Promise.all([a.said('in the cluster'), b.said('in the cluster')]);
  await createApp(clients[0]);
  await floors[0].run('netns w 20');
  await floors[1].run('netns far 1');
  await attachTo(clients[0], 'w0');
  await attachTo(clients[1], 'far0');
  const [answered, replied]: [number[], number[]] = [[], []];
  for (let i = 0; i < (quick ? 20 : 200); i++) {
    const address = `10.9.${100 + (i >> 7)}.${1 + (i & 127)}`;
    const pinger = b.spawn(['ip', 'netns', 'exec', 'far0', `${scratch}/floor`, 'ping', address, '5000']);
    const lines = createInterface({ input: pinger.stdout as NodeJS.ReadableStream })[Symbol.asyncIterator]();
    await lines.next();
    const began = process.hrtime.bigint();
    const { id } = await attachTo(clients[0], `w${1 + (i % 19)}`, { addresses: [address] });
    answered.push(Number(process.hrtime.bigint() - began) / 1e6);
    const reply = (await lines.next()).value as string | undefined;
    if (reply === undefined) throw new Error(`${address} was not reached`);
    replied.push(Number(BigInt(reply) - began) / 1e6);
    await clients[0].call('endpoint.detach', { endpoint: id });
    if (pinger.exitCode === null) await once(pinger, 'exit');
  }
  report({ bench: 'attach to ping', what: 'warren, a to b', unit: 'ms', values: replied });
  report({ bench: 'attach to ping', what: 'of which until attach answers', unit: 'ms', values: answered });
  for (const client of clients) client.close();
  for (const floor of floors) floor.stop();
};

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
