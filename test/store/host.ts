/** What an agent does for its store, without a kernel under it. */
import assert from 'node:assert/strict';
import { Recovery } from '../../src/agent/recover.ts';
import type { Kernel } from '../../src/kernel/kernel.ts';
import type { Endpoint } from '../../src/model/endpoint.ts';
import type { Network } from '../../src/model/network.ts';
import type { Node } from '../../src/model/node.ts';
import type { View } from '../../src/model/view.ts';
import { Mirror } from '../../src/store/mirror.ts';
import type { Claim, Store } from '../../src/store/store.ts';
import { endpointWish, nodeWish, type withRedis } from './fixture.ts';

type Redis = ReturnType<typeof withRedis>;
const quiet = { debug() {}, info() {}, warn() {}, error() {} } as unknown as ConstructorParameters<typeof Recovery>[3];

/** One host: what its agent knows, and which namespaces there are. */
export class Host {
  readonly store: Store;
  readonly node: Node;
  readonly netns = new Map<string, { dev: number; inode: number }>();
  readonly recovery: Recovery;
  mirror: Mirror;
  readonly #redis: Redis;

  private constructor(redis: Redis, store: Store, node: Node, cached?: string) {
    this.#redis = redis;
    this.store = store;
    this.node = node;
    this.mirror = new Mirror(store, cached, { pollMs: 1e6 });
    const identify = async (netns: string) => this.netns.get(netns);
    this.recovery = new Recovery({ identify } as Kernel, store, this.mirror, quiet, node.id, 'b0');
  }

  static async join(redis: Redis, cluster: string, name: string): Promise<Host> {
    const store = redis.open(cluster, { cooldownMs: 5 });
    const { id } = await store.nodeRegister(nodeWish(name));
    const host = new Host(redis, store, await store.nodeStart(id, nodeWish(name), 1000));
    await host.mirror.start();
    return host;
  }

  /** The same host after its agent was restarted. */
  async restarted(): Promise<Host> {
    const text = this.mirror.save();
    await this.mirror.close();
    const next = new Host(this.#redis, this.#redis.open(this.name), this.node, text);
    for (const [path, id] of this.netns) next.netns.set(path, id);
    await next.mirror.start();
    return next;
  }

  get name(): string {
    return this.view.cluster.name;
  }

  get view(): View {
    return this.mirror.view ?? assert.fail('no view');
  }

  endpoints(network: Network): Endpoint[] {
    return [...(this.view.followed.get(network.id)?.endpoints.values() ?? [])].sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  async attach(network: Network, name: string, more: Partial<Parameters<typeof endpointWish>[2]> = {}) {
    if (!this.view.followed.has(network.id)) {
      await this.store.networkJoin(network.id, this.node.id);
      await this.mirror.refresh('');
      await this.mirror.follow(network.id);
    }
    const wish = endpointWish(network, name, { node: this.node.id, epoch: this.node.epoch, ...more });
    this.netns.set(wish.netns, { dev: wish.born.dev, inode: wish.born.inode });
    const { id } = await this.store.endpointAttach(network, wish);
    const made = await this.store.endpointReady(network.id, id, this.node.epoch);
    await this.mirror.refresh(network.id);
    return made;
  }

  async detach(endpoint: Endpoint): Promise<void> {
    await this.store.endpointDetach(endpoint.network, endpoint.id);
    this.netns.delete(endpoint.netns);
    await this.mirror.refresh(endpoint.network);
  }

  claim(network: Network): Claim {
    const all = this.endpoints(network);
    const own = ({ node }: Endpoint) => node === this.node.id;
    const { id: node, epoch } = this.node;
    const { revision, services: map } = this.view.followed.get(network.id) ?? {};
    const services = [...(map?.values() ?? [])];
    return { node, epoch, revision, mine: all.filter(own), others: all.filter((each) => !own(each)), services };
  }

  /** Notices, and recovers. */
  async recover(): Promise<void> {
    await this.mirror.refresh().catch(() => {});
    await this.recovery.settle();
    assert.equal(this.mirror.frozen, false);
  }
}

/** Everything a slot says, without its history. Bitmaps as the positions of their bits. */
export async function content(redis: Redis, name: string, slot: string): Promise<Record<string, unknown>> {
  const { admin } = redis.server;
  const found: Record<string, unknown> = {};
  for (const key of (await admin.keys(`warren:{${name}${slot}}:*`)).sort()) {
    const what = key.slice(key.lastIndexOf('}:') + 2);
    if (/^(meta|changes|leases|seen|asserted|epochs|purges|removed|cooling)/.test(what)) continue;
    const type = await admin.type(key);
    if (type === 'hash') found[what] = Object.fromEntries(Object.entries(await admin.hgetall(key)).sort());
    else if (type === 'zset') found[what] = await admin.zrange(key, '0', '-1');
    else if (type === 'set') found[what] = (await admin.smembers(key)).sort();
    else
      found[what] = [...((await admin.getBuffer(key)) ?? [])].flatMap((byte, i) =>
        [0, 1, 2, 3, 4, 5, 6, 7].filter((bit) => byte & (128 >> bit)).map((bit) => 8 * i + bit),
      );
  }
  return found;
}
