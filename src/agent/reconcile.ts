import { KernelError } from '../kernel/error.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { Op, Visit } from '../kernel/op.ts';
import type { Netns, NetnsState } from '../kernel/state.ts';
import { host } from '../kernel/state.ts';
import type { Endpoint } from '../model/endpoint.ts';
import { WarrenError } from '../model/error.ts';
import type { EndpointId, NetworkId, NodeId } from '../model/id.ts';
import type { Network } from '../model/network.ts';
import type { Node, Nodes } from '../model/node.ts';
import type { NetworkView, View } from '../model/view.ts';
import { portOf } from '../plan/desired/guard.ts';
import { networkParts, partScope } from '../plan/desired/network.ts';
import { nodeScope } from '../plan/desired/node.ts';
import { diff, policyName } from '../plan/diff.ts';
import type { Key, PartKey } from '../plan/key.ts';
import { partsOf } from '../plan/key.ts';
import {
  guardTable,
  hairpinTable,
  isOurNamespace,
  isOurs,
  leaving,
  namespaceOf,
  placeOf,
  tableName,
} from '../plan/names.ts';
import { order } from '../plan/order.ts';
import type { Scope, Step, Wish } from '../plan/scope.ts';
import { merge, nothing } from '../plan/scope.ts';
import { explain } from './explain.ts';
import { Sweeper } from './sweep.ts';
import type { Wanted } from './wanted.ts';

/** Namespaces in one request: others wait for it. */
const visitsAtOnce = 16;

export type Outcome = {
  steps: readonly Step[];
  /** Local endpoints whose namespace is no longer the one they were attached to. */
  gone: readonly Endpoint[];
};

/**
 * Makes this node's kernel what the view says, one key at a time: view, desired, read, diff, order, apply.
 *
 * The whole pass over 'node' or a network reads the kernel and is the truth. An endpoint's key is the hot path: it
 * compares with what was last applied for it, and any surprise from the kernel falls back to the whole pass.
 */
export class Reconciler {
  readonly #kernel: Kernel;
  readonly #self: NodeId;
  readonly #boot: string;
  readonly #wanted: Wanted;
  readonly #sweeper: Sweeper;
  readonly #down: Nodes;
  /** Does the kernel balance? One without IPVS has none to read. */
  #balances = true;
  /** Can the host have a guard? An earlier agent may have left one; a kernel without IPsec has none. */
  #guarded = true;
  /** Networks that have had a whole pass and are in this kernel. */
  readonly #built = new Map<NetworkId, string>();

  /** `down`: nodes whose backends get nothing new. */
  constructor(kernel: Kernel, wanted: Wanted, self: NodeId, boot: string, down: Nodes = new Set()) {
    this.#kernel = kernel;
    this.#wanted = wanted;
    this.#sweeper = new Sweeper(kernel, leaving);
    this.#self = self;
    this.#down = down;
    this.#boot = boot;
  }

  /** Namespaces of the networks that are built, by network. */
  get built(): ReadonlyMap<NetworkId, string> {
    return this.#built;
  }

  /** The cheapest keys that make parts of a network right. */
  keysFor(network: NetworkId, parts: readonly PartKey[]): readonly Key[] {
    return this.#built.has(network) ? parts : [network];
  }

  /** Is something that was detached from a namespace still in it? */
  sweeping(path: string): boolean {
    return this.#sweeper.sweeping(path);
  }

  /** Resolves when what was detached from a namespace is out of it: a name there is free again. */
  async swept(path: string): Promise<void> {
    await this.#sweeper.swept(path);
  }

  async run(view: View, key: Key): Promise<Outcome> {
    const self = view.nodes.get(this.#self);
    const { network, part } = partsOf(key);
    // A node that was removed has no networks any more. What guarded them stays until somebody says leave.
    if (network === undefined) return self ? this.#node(view) : { steps: [], gone: [] };
    const followed = self && view.followed.get(network);
    if (part !== undefined && followed && this.#built.has(network)) {
      try {
        return await this.#part(view, followed, part);
      } catch (error) {
        if (!(error instanceof KernelError)) throw error;
      }
    }
    return this.#network(view, self, network, followed);
  }

  async #node(view: View): Promise<Outcome> {
    // A network of which we are a member but do not know the endpoints must not look as if it had none. When it is known,
    // the host is looked at again.
    const unknown = ({ id, members }: Network) => members.includes(this.#self) && !view.followed.has(id);
    if ([...view.networks.values()].some(unknown)) return { steps: [], gone: [] };
    const want = nodeScope(view, this.#self);
    this.#wanted.put('node', want);
    const namespaces = (await this.#kernel.namespaces()).filter(isOurNamespace);
    const have = { namespaces, wishes: await this.#readAll(want, true) };
    // Namespaces are made by the key of their network; here only those of no network go.
    const steps = order(diff(want, have)).filter(({ op }) => op.op !== 'netns.add');
    await this.#apply(steps);
    return { steps, gone: [] };
  }

  async #network(
    view: View,
    self: Node | undefined,
    id: NetworkId,
    followed: NetworkView | undefined,
  ): Promise<Outcome> {
    const name = followed ? namespaceOf(followed.network.vni) : this.#built.get(id);
    if (name === undefined) return { steps: [], gone: [] };
    const gone = followed ? await this.#gone(followed) : [];
    // The view's maps change while this pass waits for the kernel: what it applies is what was there now, and no more.
    const alive = followed && { ...followed, endpoints: without(followed.endpoints, gone) };
    const parts = alive && self ? networkParts(view, self, alive, { down: this.#down }) : new Map<Key, Scope>();
    const want = merge([...parts.values()]);
    const namespaces = (await this.#kernel.namespaces()).filter((found) => found === name);
    if (followed && want.namespaces.length > 0 && !this.#built.has(id))
      await this.#refuseForeign(view, followed.network);
    // Made before it is read: a new namespace is not empty, and its sysctls tell what this kernel has.
    for (const missing of want.namespaces.filter((wanted) => !namespaces.includes(wanted))) {
      await this.#apply([{ netns: host, op: { op: 'netns.add', name: missing } }]);
      namespaces.push(missing);
    }
    const have = { namespaces, wishes: await this.#readAll(want, false) };
    const steps = order(diff(want, have));
    this.#built.delete(id);
    this.#wanted.dropNetwork(id);
    // Before it is done: what the kernel then tells of it is no surprise.
    for (const [key, scope] of parts) this.#wanted.put(key, scope);
    await this.#apply(steps);
    if (want.namespaces.length > 0) this.#built.set(id, name);
    return { steps, gone };
  }

  /** Two vxlan devices of one host and port share a socket: what guards ours would cut off somebody else's. */
  async #refuseForeign({ cluster }: View, network: Network): Promise<void> {
    const port = portOf(cluster, network);
    const { links } = await this.#kernel.read(host, { links: true });
    const foreign = links.find(({ name, vxlan }) => vxlan?.port === port && !isOurs.link({ name }, 'network'));
    if (!foreign) return;
    throw new WarrenError(
      'port_taken',
      `network "${network.name}": UDP port ${port} is used by ${foreign.name} (vxlan ${foreign.vxlan?.vni}), which is not ours`,
      `remove it, or make the cluster with another port: warren init --data-port`,
    );
  }

  async #part(view: View, followed: NetworkView, key: PartKey): Promise<Outcome> {
    const have = this.#wanted.get(key) ?? { namespaces: [], wishes: [] };
    const want = partScope(view, this.#self, followed, key, { down: this.#down });
    const steps = order(diff(want, have));
    const gone = want.wishes.length === 0 ? have.wishes.filter(({ netns }) => placeOf(netns) === 'endpoint') : [];
    this.#wanted.drop(key);
    if (want.wishes.length > 0) this.#wanted.put(key, want);
    for (const { netns } of gone) this.#sweeper.expect(netns.path);
    try {
      await this.#apply(steps);
    } catch (error) {
      this.#built.delete(followed.network.id); // what is there now only a whole pass can tell
      throw error;
    }
    for (const { netns, state } of gone) {
      const ops = state.nft.map(({ family, name }): Op => ({ op: 'nft.del', family, name }));
      // Its links have gone with the host's ends; the namespace may have, too.
      if (ops.length > 0) await this.#kernel.apply(netns, ops).catch(() => {});
    }
    return { steps, gone: [] };
  }

  /** Does IPVS hold what was applied last? REQUIRES: the network is built. */
  async balanced(network: NetworkId): Promise<boolean> {
    const wanted = merge(this.#wanted.services(network));
    const [wish] = wanted.wishes;
    if (!wish) return true;
    const { ipvs, ipvsDests, ipvsTimeouts } = await this.#kernel.read(wish.netns, { ipvs: true });
    const state = { ...nothing, ipvs, ipvsDests, ipvsTimeouts };
    const have = { namespaces: [], wishes: [{ netns: wish.netns, state }] };
    return diff(wanted, have).length === 0;
  }

  /** The same path may lead to another namespace by now, and after a reboot every one is another. */
  async #gone({ endpoints }: NetworkView): Promise<Endpoint[]> {
    const gone: Endpoint[] = [];
    for (const endpoint of endpoints.values()) {
      if (endpoint.node !== this.#self) continue;
      const { boot, dev, inode } = endpoint.born;
      const there = boot === this.#boot ? await this.#kernel.identify(endpoint.netns) : undefined;
      if (there?.dev !== dev || there.inode !== inode) gone.push(endpoint);
    }
    return gone;
  }

  /** What is there now, wherever something is wanted. Of the host, `all` that is ours there, or only what is wanted. */
  async #readAll(want: Scope, all: boolean): Promise<Wish[]> {
    return Promise.all(
      want.wishes.map(async ({ netns, state }) => {
        if (placeOf(netns) !== 'host') return { netns, state: await this.#readNetwork(netns, state) };
        const have = await this.#readHost(state, all).catch((error: unknown) => {
          if (!lacks(error) || state.policies.length > 0 || !this.#guarded) throw error;
          this.#guarded = false;
          return this.#readHost(state, all);
        });
        return { netns, state: have };
      }),
    );
  }

  async #readNetwork(netns: Netns, want: NetnsState): Promise<NetnsState> {
    try {
      return await this.#read(netns, want);
    } catch (error) {
      if (!lacks(error) || want.ipvs.length > 0 || !this.#balances) throw explain(error);
      this.#balances = false;
      return this.#read(netns, want);
    }
  }

  #read(netns: Netns, want: NetnsState): Promise<NetnsState> {
    const sysctls = want.sysctls.map(({ key }) => key);
    if (placeOf(netns) === 'endpoint')
      return this.#kernel.read(netns, { links: true, addrs: true, routes: true, sysctls, nft: want.nft });
    const nft = [tableName, hairpinTable].map((name) => ({ family: 'inet', name }) as const);
    const ipvs = this.#balances || want.ipvs.length > 0;
    return this.#kernel.read(netns, {
      ...{ links: true, addrs: true, routes: true, neighs: true, fdb: true, sysctls, nft },
      ...(ipvs ? { ipvs } : {}),
    });
  }

  /** Links and addresses there belong to a network's pass; others' policies, and the peers', to nobody's. */
  async #readHost(want: NetnsState, all: boolean): Promise<NetnsState> {
    const have = await this.#kernel.read(host, {
      links: want.links.length > 0,
      addrs: want.addrs.length > 0,
      routes: all,
      sysctls: want.sysctls.map(({ key }) => key),
      nft: all ? [tableName, guardTable].map((name) => ({ family: 'inet', name }) as const) : want.nft,
      policies: want.policies.length > 0 || (all && this.#guarded),
    });
    const wanted = new Set(want.policies.map(policyName));
    const policies = have.policies.filter((policy) => wanted.has(policyName(policy)) || (all && isOurs.policy(policy)));
    return { ...have, policies };
  }

  async #apply(steps: readonly Step[]): Promise<void> {
    const visits: { netns: Netns; ops: Op[] }[] = [];
    for (const { netns, op } of steps) {
      const last = visits.at(-1);
      if (op.op === 'link.delgroup') {
        await this.#visit(visits.splice(0));
        this.#sweeper.sweep(netns.path);
      } else if (last?.netns.path === netns.path) last.ops.push(op);
      else {
        if (visits.length === visitsAtOnce) await this.#visit(visits.splice(0));
        visits.push({ netns, ops: [op] });
      }
    }
    await this.#visit(visits);
  }

  async #visit(visits: readonly Visit[]): Promise<void> {
    if (visits.length === 0) return;
    await this.#kernel.applyAll(visits).catch((error) => {
      throw explain(error);
    });
  }
}

/** Is it what a kernel says that has not got what it was asked about? */
function lacks(error: unknown): boolean {
  return error instanceof KernelError && error.code === 'EPROTONOSUPPORT';
}

function without(
  endpoints: ReadonlyMap<EndpointId, Endpoint>,
  gone: readonly Endpoint[],
): ReadonlyMap<EndpointId, Endpoint> {
  const ids = new Set(gone.map(({ id }) => id));
  return new Map([...endpoints].filter(([id]) => !ids.has(id)));
}
