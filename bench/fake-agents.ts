/**
 * Agents without a kernel: each has its connections to the store, its lease and its mirror, as a real one has.
 *
 *   node --import tsx bench/fake-agents.ts STORE NETWORK FIRST COUNT
 *
 * Lines in, and the answer to each: `attach N` (each agent attaches N endpoints: `attached MS…`, each one's time), `until N` (all
 * mirrors are at the network's entry N: `there`), `seen ID` (all mirrors have the endpoint: `there`). `there` comes with the
 * monotonic clock in milliseconds, which is the same in all processes. Says `ready` when all are members.
 */
import { createInterface } from 'node:readline';
import { Lease, vigilance } from '../src/agent/lease.ts';
import type { Log } from '../src/agent/log.ts';
import { endpointMac } from '../src/model/endpoint.ts';
import { type EndpointId, newId } from '../src/model/id.ts';
import type { Ip } from '../src/model/ip.ts';
import type { Network } from '../src/model/network.ts';
import type { Node } from '../src/model/node.ts';
import type { NetworkView } from '../src/model/view.ts';
import { Mirror } from '../src/store/mirror.ts';
import { openStore } from '../src/store/redis.ts';
import type { Store } from '../src/store/store.ts';
import { monotonicMs } from './stats.ts';

const [url = '', networkName = '', first = '0', count = '1'] = process.argv.slice(2);
const atOnce = 4;
const say = (text: string) => process.stdout.write(`${text}\n`);
const silent = { debug() {}, info() {}, warn() {}, error() {} } as unknown as Log;
const createdAt = new Date().toISOString();
type Agent = { store: Store; mirror: Mirror; node: Node };
const agents: Agent[] = [];
let network: Network | undefined;
let inode = 1;

async function join(n: number): Promise<Agent> {
  const store = openStore(url, 'default');
  const facts = { underlay: `10.99.${n >> 8}.${n & 255}` as Ip, underlayMtu: 1500, routes: [], version: '0' };
  const wish = {
    id: newId<'node'>(),
    name: `${networkName}-${n}`,
    role: 'worker' as const,
    joinedAt: createdAt,
    ...facts,
  };
  const { id } = await store.nodeRegister(wish);
  const mirror = new Mirror(store);
  await mirror.start();
  const watch = vigilance();
  const node = await store.nodeStart(id, facts, watch.leaseMs, `boot${n}`);
  new Lease(store, node, watch, silent, { heard: () => {}, unheard: () => {}, superseded: (error) => say(`${error}`) });
  network ??= [...(mirror.view?.networks.values() ?? [])].find(({ name }) => name === networkName);
  if (!network) throw new Error(`no network ${networkName}`);
  await store.networkJoin(network.id, id);
  await mirror.follow(network.id);
  return { store, mirror, node };
}

async function attach({ store, node }: Agent, network: Network, name: string): Promise<void> {
  const id = newId<'endpoint'>();
  await store.endpointAttach(network, {
    ...{ id, network: network.id, node: node.id, epoch: node.epoch, name, addresses: [], mac: endpointMac(id) },
    ...{ netns: `/run/netns/${name}`, born: { boot: node.name, dev: 4, inode: inode++ }, ifname: 'eth0' },
    ...{ defaultRoute: true, backend: null, labels: {}, createdAt },
  });
  await store.endpointReady(network.id, id, node.epoch);
}

/** What is waited for, and those mirrors that do not have it yet. */
let sought: (view: NetworkView | undefined) => boolean = () => true;
const missing = new Set<Mirror>();

function look(mirror: Mirror, network: Network): void {
  if (sought(mirror.view?.followed.get(network.id)) && missing.delete(mirror) && missing.size === 0)
    say(`there ${monotonicMs()}`);
}

for (let i = 0; i < Number(count); i++) agents.push(await join(Number(first) + i));
const net = network;
if (!net) throw new Error('no agents');
for (const { mirror } of agents) mirror.onChange(() => look(mirror, net));
say('ready');

for await (const line of createInterface({ input: process.stdin })) {
  const [verb, word = ''] = line.split(' ');
  if (verb === 'attach') {
    const took: number[] = [];
    // A few agents at a time: they share one processor here, and each would wait for all the others'.
    const waiting = [...agents];
    const some = Array.from({ length: atOnce }, async () => {
      for (let agent = waiting.pop(); agent; agent = waiting.pop())
        for (let i = 0; i < Number(word); i++) {
          const began = monotonicMs();
          await attach(agent, net, `${agent.node.name}-${i}`);
          took.push(monotonicMs() - began);
        }
    });
    await Promise.all(some);
    say(`attached ${took.map((ms) => ms.toFixed(1)).join(' ')}`);
    continue;
  }
  sought =
    verb === 'until'
      ? (view) => (view?.revision.n ?? 0) >= Number(word)
      : (view) => view?.endpoints.has(word as EndpointId) === true;
  for (const { mirror } of agents) missing.add(mirror);
  for (const { mirror } of agents) look(mirror, net);
}
// Whoever started it has ended.
process.exit();
