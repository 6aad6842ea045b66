import type { Endpoint } from '../model/endpoint.ts';
import type { EndpointId, NetworkId, NodeId, ServiceId } from '../model/id.ts';
import type { Network } from '../model/network.ts';
import type { Cluster, Node } from '../model/node.ts';
import type { Service } from '../model/service.ts';
import type { NetworkView, Revision, View } from '../model/view.ts';
import type { Change, Delta, NetworkSnapshot, RegistrySnapshot } from './store.ts';
import { type Entry, readView, writeView } from './view-text.ts';

/** What became different in a view. */
export type ViewChange = {
  scope: 'registry' | NetworkId;
  change?: Change;
  /** What was there before the change. */
  previous?: Endpoint | Network | Node | Service;
  /** The scope was read as a whole: anything in it may be different. */
  reset?: true;
};

/** How one followed network stands. Its maps are changed in place: one change costs one map entry, however large it is. */
type Followed = {
  network: Network;
  revision: Revision;
  endpoints: Map<EndpointId, Endpoint>;
  services: Map<ServiceId, Service>;
  ghosts: Set<EndpointId>;
};

/**
 * A view that takes in what the store told, from wherever that comes: the store itself (mirror.ts) or the file in which an
 * agent kept it. No I/O. What other nodes held when the store lost writes stays as ghosts until they have told it themselves.
 *
 * The maps of a view change in place; a view object is one revision only until the next change.
 */
export class Replica {
  readonly #nodes = new Map<NodeId, Node>();
  readonly #networks = new Map<NetworkId, Network>();
  readonly #followed = new Map<NetworkId, Followed>();
  #cluster: Cluster | undefined;
  #revision: Revision | undefined;

  /** From the text of a view and all that came after it; of text nobody can read, none. */
  static read(text: string): Replica | undefined {
    const file = readView(text);
    if (!file) return undefined;
    const { view, entries } = file;
    const replica = new Replica();
    replica.#cluster = view.cluster;
    replica.#revision = view.revision;
    for (const [id, node] of view.nodes) replica.#nodes.set(id, node);
    for (const [id, network] of view.networks) replica.#networks.set(id, network);
    for (const [id, { network, revision, endpoints, services, ghosts }] of view.followed) {
      const maps = { endpoints: new Map(endpoints), services: new Map(services), ghosts: new Set(ghosts) };
      replica.#followed.set(id, { network, revision, ...maps });
    }
    for (const entry of entries) replica.apply(entry);
    return replica;
  }

  write(): string {
    const view = this.view;
    if (!view) throw new Error('there is no view to write yet');
    return writeView(view);
  }

  /** undefined before there was anything. */
  get view(): View | undefined {
    if (!this.#cluster || !this.#revision) return undefined;
    return {
      cluster: this.#cluster,
      revision: this.#revision,
      nodes: this.#nodes,
      networks: this.#networks,
      followed: this.#followed as ReadonlyMap<NetworkId, NetworkView>,
    };
  }

  get revision(): Revision | undefined {
    return this.#revision;
  }

  get followed(): ReadonlyMap<NetworkId, NetworkView> {
    return this.#followed;
  }

  network(id: NetworkId): Network | undefined {
    return this.#networks.get(id);
  }

  apply(entry: Entry): ViewChange[] {
    if ('registry' in entry) return this.applyRegistry(entry.registry);
    if ('unfollow' in entry) {
      this.unfollow(entry.unfollow);
      return [];
    }
    return this.applyNetwork(entry.network, entry.delta);
  }

  /** Was it followed? */
  unfollow(id: NetworkId): boolean {
    return this.#followed.delete(id);
  }

  applyRegistry(delta: Delta<RegistrySnapshot>): ViewChange[] {
    const told: ViewChange[] = [];
    this.#revision = delta.revision;
    if (delta.kind === 'snapshot') {
      const { cluster, nodes, networks } = delta.snapshot;
      const before = [...this.#networks.values()];
      this.#cluster = cluster;
      replace(this.#nodes, nodes);
      replace(this.#networks, networks);
      // A reset does not say what is gone, and nobody else will ask for a network that is.
      for (const previous of before) {
        const { id } = previous;
        if (!this.#networks.has(id)) {
          told.push({ scope: 'registry', change: { kind: 'network', id, value: undefined }, previous });
        }
        this.#setNetwork(id, this.#networks.get(id));
      }
      told.push({ scope: 'registry', reset: true });
    } else {
      for (const change of delta.changes) {
        let previous: ViewChange['previous'];
        if (change.kind === 'node') previous = put(this.#nodes, change.id, change.value);
        else if (change.kind === 'network') {
          previous = put(this.#networks, change.id, change.value);
          this.#setNetwork(change.id, change.value);
        } else if (change.kind === 'limits' && this.#cluster) {
          this.#cluster = { ...this.#cluster, limits: change.value };
        } else if (change.kind === 'layout' && this.#cluster) {
          this.#cluster = { ...this.#cluster, layout: change.value };
        }
        told.push({ scope: 'registry', change, ...(previous ? { previous } : {}) });
      }
    }
    for (const id of this.#followed.keys()) told.push(...this.#lay(id, ({ node }) => !this.#nodes.has(node)));
    return told;
  }

  /** `others`: endpoints that stay, unless the snapshot has them or their nodes have told the store themselves. */
  applyNetwork(id: NetworkId, delta: Delta<NetworkSnapshot>, others = this.#ghostsOf(id)): ViewChange[] {
    const network = this.#networks.get(id);
    if (!network) return [];
    if (delta.kind === 'snapshot') return this.#freshly(network, delta, others);
    const known = this.#followed.get(id);
    if (!known) return [];
    known.revision = delta.revision;
    const told: ViewChange[] = [];
    for (const change of delta.changes) {
      if (change.kind === 'asserted') told.push(...this.#lay(id, ({ node }) => node === change.id));
      let previous: ViewChange['previous'];
      if (change.kind === 'service') previous = put(known.services, change.id, change.value);
      else if (change.kind === 'endpoint') {
        const { value } = change;
        known.ghosts.delete(change.id);
        if (value) told.push(...this.#lay(id, (ghost) => clash(ghost, value)));
        previous = put(known.endpoints, change.id, value);
      } else continue;
      told.push({ scope: id, change, ...(previous ? { previous } : {}) });
    }
    return told;
  }

  #ghostsOf(id: NetworkId): Endpoint[] {
    const { ghosts, endpoints } = this.#followed.get(id) ?? {};
    return [...(ghosts ?? [])].flatMap((ghost) => endpoints?.get(ghost) ?? []);
  }

  #freshly(
    network: Network,
    { revision, snapshot }: { revision: Revision; snapshot: NetworkSnapshot },
    before: readonly Endpoint[],
  ): ViewChange[] {
    const { id } = network;
    const endpoints = new Map(snapshot.endpoints.map((endpoint) => [endpoint.id, endpoint]));
    const services = new Map(snapshot.services.map((service) => [service.id, service]));
    const ghosts = before.filter((ghost) => !endpoints.has(ghost.id));
    for (const ghost of ghosts) endpoints.set(ghost.id, ghost);
    const ids = new Set(ghosts.map((ghost) => ghost.id));
    this.#followed.set(id, { network, revision, endpoints, services, ghosts: ids });
    const taken = new Set(snapshot.endpoints.flatMap(claims));
    const told = new Set(snapshot.asserted);
    this.#lay(
      id,
      (ghost) => told.has(ghost.node) || !this.#nodes.has(ghost.node) || claims(ghost).some((each) => taken.has(each)),
    );
    return [{ scope: id, reset: true }];
  }

  /** Lets go of ghosts: their node has spoken or is no member any more, or somebody else has what was theirs. */
  #lay(id: NetworkId, which: (ghost: Endpoint) => boolean): ViewChange[] {
    const followed = this.#followed.get(id);
    const told: ViewChange[] = [];
    for (const ghost of followed?.ghosts ?? []) {
      const previous = followed?.endpoints.get(ghost);
      if (previous && !which(previous)) continue;
      followed?.ghosts.delete(ghost);
      followed?.endpoints.delete(ghost);
      const change = { kind: 'endpoint', id: ghost, value: undefined } as const;
      if (previous) told.push({ scope: id, change, previous });
    }
    return told;
  }

  #setNetwork(id: NetworkId, network: Network | undefined): void {
    const followed = this.#followed.get(id);
    if (!network) this.#followed.delete(id);
    else if (followed) followed.network = network;
  }
}

/** What only one endpoint of a network can have. */
function claims({ name, mac, addresses }: Endpoint): string[] {
  return [name, mac, ...addresses];
}

function clash(a: Endpoint, b: Endpoint): boolean {
  const others = claims(b);
  return a.id !== b.id && claims(a).some((each) => others.includes(each));
}

function put<Key, Value>(map: Map<Key, Value>, key: Key, value: Value | undefined): Value | undefined {
  const previous = map.get(key);
  if (value === undefined) map.delete(key);
  else map.set(key, value);
  return previous;
}

function replace<Key, Value extends { id: Key }>(map: Map<Key, Value>, values: readonly Value[]): void {
  map.clear();
  for (const value of values) map.set(value.id, value);
}
