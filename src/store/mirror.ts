import type { Endpoint } from '../model/endpoint.ts';
import { WarrenError } from '../model/error.ts';
import type { EndpointId, NetworkId, NodeId } from '../model/id.ts';
import type { Network } from '../model/network.ts';
import type { Cluster, Node } from '../model/node.ts';
import type { NetworkView, Revision, View } from '../model/view.ts';
import { Flights } from './flight.ts';
import { entryOf } from './since.ts';
import type { Change, Delta, NetworkSnapshot, RegistrySnapshot, Store, Written } from './store.ts';
import { type Entry, readView, writeView } from './view-text.ts';

export type MirrorChange = {
  scope: 'registry' | NetworkId;
  change?: Change;
  /** What was there before the change. */
  previous?: Endpoint | Network | Node;
  /** The scope was read as a whole: anything in it may be different. */
  reset?: true;
};

/** Where a view outlives its process. */
export interface ViewLog {
  /** Starts over, with the whole view. */
  write(text: string): void;
  /** Adds a line. false: it is time to start over. */
  append(line: string): boolean;
}

export type MirrorOptions = {
  /** Wake-ups are only hints; this is the safety net under them. */
  pollMs?: number;
  /** Has every change before a listener or who asked for it hears of it. */
  log?: ViewLog;
};

/** How one followed network stands. Its map is changed in place: one change costs one map entry, however large it is. */
type Followed = { network: Network; revision: Revision; endpoints: Map<EndpointId, Endpoint>; ghosts: Set<EndpointId> };

/**
 * The view in memory, kept up with the store by its change streams: all of the registry, and the networks followed.
 *
 *   wake-up, poll, reconnect, refresh() ──► one flight per scope ──► since(revision) ──► apply ──► listeners
 *   a change of our own that is the very next one ───────────────────────────────────────┘
 *
 * When a scope's history is not the one known (other incarnation, smaller revision, other change at that revision, or
 * all of it gone), the store lost writes: the view stays as it was, whole, and the mirror is frozen. It does not thaw by
 * itself: first the store is told what this node holds, then adopt() takes the history that is there now. What other nodes
 * held stays in the view as ghosts until they have told it themselves, so that nobody is cut off meanwhile.
 *
 * The maps of a view change in place; a view object is one revision only until the next change.
 */
export class Mirror {
  readonly #store: Store;
  readonly #pollMs: number;
  readonly #nodes = new Map<NodeId, Node>();
  readonly #networks = new Map<NetworkId, Network>();
  readonly #followed = new Map<NetworkId, Followed>();
  /** What is followed, whether or not it could be read yet. */
  readonly #wanted = new Set<NetworkId>();
  readonly #flights = new Flights<'' | NetworkId>((scope) => this.#read(scope));
  readonly #onChange = new Set<(change: MirrorChange) => void>();
  readonly #onLost = new Set<(scope: 'registry' | NetworkId) => void>();
  /** `NETWORKID ENTRY` of changes of ours that are in the view, and whose wake-up has not come yet: it is no news. */
  readonly #mine = new Set<string>();
  #cluster: Cluster | undefined;
  #revision: Revision | undefined;
  #lost: 'registry' | NetworkId | undefined;
  #poll: NodeJS.Timeout | undefined;
  #closed = false;
  readonly #log: ViewLog | undefined;

  /** `cached`: what an earlier run's log had; unreadable text counts as none. */
  constructor(store: Store, cached?: string, { pollMs = 1000, log }: MirrorOptions = {}) {
    this.#store = store;
    this.#pollMs = pollMs;
    if (cached !== undefined) this.#load(cached);
    this.#log = log;
  }

  #load(text: string): void {
    const file = readView(text);
    if (!file) return;
    const { view, entries } = file;
    this.#cluster = view.cluster;
    this.#revision = view.revision;
    for (const [id, node] of view.nodes) this.#nodes.set(id, node);
    for (const [id, network] of view.networks) this.#networks.set(id, network);
    for (const [id, { network, revision, endpoints, ghosts }] of view.followed) {
      this.#followed.set(id, { network, revision, endpoints: new Map(endpoints), ghosts: new Set(ghosts) });
      this.#wanted.add(id);
    }
    for (const entry of entries) this.#replay(entry);
  }

  #replay(entry: Entry): void {
    if ('registry' in entry) this.#applyRegistry(entry.registry);
    else if ('unfollow' in entry) this.unfollow(entry.unfollow);
    else {
      const network = this.#networks.get(entry.network);
      if (!network) return;
      this.#wanted.add(network.id);
      this.#applyNetwork(network.id, network, entry.delta);
    }
  }

  /** An entry is logged once it is in the view: a log that starts over has it then too. */
  #kept(entry: Entry, told: MirrorChange[] = []): MirrorChange[] {
    const delta = 'registry' in entry ? entry.registry : 'delta' in entry ? entry.delta : undefined;
    const news = delta?.kind !== 'changes' || delta.changes.length > 0;
    if (news && this.#log && !this.#log.append(JSON.stringify(entry))) this.#log.write(this.save());
    return told;
  }

  /** undefined before the first answer of the store, unless a cached view was given. */
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

  /** The store lost writes: the view is the last good one, and stays. */
  get frozen(): boolean {
    return this.#lost !== undefined;
  }

  /** Starts to listen and to poll; resolves when everything followed was read once. May be called again after a failure. */
  async start(): Promise<void> {
    if (!this.#poll) {
      this.#store.onWake((scope, entry) => this.#wake(scope, entry));
      this.#store.onWritten((written) => this.#written(written));
      this.#store.onConnection((connected) => connected && this.#hintAll());
      this.#poll = setInterval(() => this.#hintAll(), this.#pollMs);
      this.#poll.unref();
    }
    // Frozen is no failure here: the last good view is there, and onLost says the rest.
    if (!this.frozen) await this.#refreshAll();
  }

  /** Resolves when the network's endpoints are in the view, or are known not to be there. */
  async follow(id: NetworkId): Promise<void> {
    this.#wanted.add(id);
    await this.refresh(id);
  }

  unfollow(id: NetworkId): void {
    this.#wanted.delete(id);
    if (this.#followed.delete(id)) this.#kept({ unfollow: id });
  }

  onChange(listener: (change: MirrorChange) => void): void {
    this.#onChange.add(listener);
  }

  /** Called each time the mirror freezes; at once when it is frozen already. */
  onLost(listener: (scope: 'registry' | NetworkId) => void): void {
    this.#onLost.add(listener);
    if (this.#lost) listener(this.#lost);
  }

  /**
   * Reads a scope ('' = the registry), or all of them; what was written before the call is in the view afterwards.
   * store_lost_writes when the mirror is frozen.
   */
  async refresh(scope?: '' | NetworkId): Promise<void> {
    await (scope === undefined ? this.#refreshAll() : this.#flights.run(scope));
    if (!this.#lost) return;
    const what = this.#lost === 'registry' ? 'the cluster' : `network ${this.#lost}`;
    throw new WarrenError(
      'store_lost_writes',
      `the store at ${this.#store.url} has less of ${what} than this node knew: it was emptied or lost writes`,
      'the agents tell it again what they hold, and running containers keep their network meanwhile; see: warren status',
    );
  }

  /**
   * Ends a freeze: takes the store's history as it is now, all of it or nothing. REQUIRES: this node has told the store what
   * it holds; what is not there after that is not its any more.
   */
  async adopt(self: NodeId): Promise<void> {
    if (!this.#lost) return;
    const delta = await this.#store.registrySince(undefined);
    if (delta.kind !== 'snapshot') throw new WarrenError('internal', 'the store gave no snapshot');
    const there = new Set(delta.snapshot.networks.map(({ id }) => id));
    const ids = [...this.#wanted].filter((id) => there.has(id));
    const read = await Promise.all(
      ids.map(async (id) => {
        const known = this.#followed.get(id);
        return { id, known, now: await this.#store.networkSince(id, known?.revision) };
      }),
    );
    const absent = read.find(({ known, now }) => known && !now);
    if (absent) throw new WarrenError('store_lost_writes', `network ${absent.id} is not in the store`, 'trying again');
    // From here on nothing waits: a listener sees all of it.
    const told = this.#applyRegistry(delta);
    for (const { id, known, now } of read) {
      const network = this.#networks.get(id);
      if (!network || !now || this.#followed.get(id) !== known) continue;
      if (known && lost(known.revision, now) && now.kind === 'snapshot') {
        const others = [...known.endpoints.values()].filter(({ node }) => node !== self);
        told.push(...this.#freshly(id, network, now, others));
      } else told.push(...this.#applyNetwork(id, network, now));
    }
    this.#lost = undefined;
    this.#log?.write(this.save());
    this.#tell(told);
  }

  async #refreshAll(): Promise<void> {
    // The registry first: it says which of the followed networks there are.
    await this.#flights.run('');
    await Promise.all([...this.#wanted].map((id) => this.#flights.run(id)));
  }

  save(): string {
    const view = this.view;
    if (!view) throw new Error('there is no view to save yet');
    return writeView(view);
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#poll);
    await this.#flights.idle();
  }

  #wake(scope: '' | NetworkId, entry: string | undefined): void {
    if (!this.#mine.delete(`${scope} ${entry}`)) this.#hint(scope);
  }

  /** Where somebody else's change came in between, or a history we do not know, the store is read as ever. */
  #written({ network: id, before, delta }: Written): void {
    const known = this.#followed.get(id);
    if (!known || this.frozen || this.#closed) return;
    const next = known.revision.incarnation === delta.revision.incarnation && known.revision.n + 1 === delta.revision.n;
    if (!next || entryOf(known.revision) !== before) return;
    this.#mine.add(`${id} ${entryOf(delta.revision)}`);
    this.#tell(this.#kept({ network: id, delta }, this.#applyNetwork(id, known.network, delta)));
  }

  #hint(scope: '' | NetworkId): void {
    if (this.#closed || this.frozen || (scope !== '' && !this.#wanted.has(scope))) return;
    // A failure is no news: the next poll or reconnect looks again.
    this.#flights.run(scope).catch(() => {});
  }

  #hintAll(): void {
    this.#mine.clear(); // a wake-up may be lost
    this.#hint('');
    for (const id of this.#wanted) this.#hint(id);
  }

  async #read(scope: '' | NetworkId): Promise<void> {
    if (this.frozen || this.#closed) return;
    await (scope === '' ? this.#readRegistry() : this.#readNetwork(scope));
  }

  async #readRegistry(): Promise<void> {
    const from = this.#revision;
    const delta = await this.#store.registrySince(from).catch((error: unknown) => {
      const gone = error instanceof WarrenError && /^(not_initialized|store_lost_writes)$/.test(error.code);
      if (!gone || !from) throw error;
      return undefined;
    });
    // Frozen, or thawed with another history, while the answer was on its way.
    if (this.frozen || this.#revision !== from) return;
    if (!delta || (from && lost(from, delta))) return this.#freeze('registry');
    this.#tell(this.#kept({ registry: delta }, this.#applyRegistry(delta)));
  }

  #applyRegistry(delta: Delta<RegistrySnapshot>): MirrorChange[] {
    const told: MirrorChange[] = [];
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
        let previous: MirrorChange['previous'];
        if (change.kind === 'node') previous = put(this.#nodes, change.id, change.value);
        else if (change.kind === 'network') {
          previous = put(this.#networks, change.id, change.value);
          this.#setNetwork(change.id, change.value);
        }
        told.push({ scope: 'registry', change, ...(previous ? { previous } : {}) });
      }
    }
    for (const id of this.#followed.keys()) told.push(...this.#lay(id, ({ node }) => !this.#nodes.has(node)));
    return told;
  }

  async #readNetwork(id: NetworkId): Promise<void> {
    const known = this.#followed.get(id);
    const from = known?.revision;
    const delta = await this.#store.networkSince(id, from);
    if (delta === undefined) {
      // A slot is purged after the registry forgot the network, so the registry knows whether this is a loss.
      await this.#flights.run('');
      if (known && this.#followed.get(id) === known && this.#networks.has(id)) this.#freeze(id);
      return;
    }
    // Created by somebody else since the registry was read last.
    if (!this.#networks.has(id)) await this.#flights.run('');
    const network = this.#networks.get(id);
    // Ids are never used again: nothing to wait for.
    if (!network) this.#wanted.delete(id);
    if (!network || !this.#wanted.has(id) || this.frozen) return;
    // Unfollowed, perhaps followed again, or thawed while the answer was on its way: another answer will come.
    if (this.#followed.get(id) !== known) return;
    // A change of ours came in meanwhile: what else the answer has is still to be had.
    if (known?.revision !== from) return this.#readNetwork(id);
    if (known && lost(known.revision, delta)) return this.#freeze(id);
    this.#tell(this.#kept({ network: id, delta }, this.#applyNetwork(id, network, delta)));
  }

  #applyNetwork(id: NetworkId, network: Network, delta: Delta<NetworkSnapshot>): MirrorChange[] {
    const known = this.#followed.get(id);
    if (delta.kind === 'snapshot') {
      const ghosts = [...(known?.ghosts ?? [])].flatMap((ghost) => known?.endpoints.get(ghost) ?? []);
      return this.#freshly(id, network, delta, ghosts);
    }
    if (!known) return [];
    known.revision = delta.revision;
    const told: MirrorChange[] = [];
    for (const change of delta.changes) {
      if (change.kind === 'asserted') told.push(...this.#lay(id, ({ node }) => node === change.id));
      if (change.kind !== 'endpoint') continue;
      const { value } = change;
      known.ghosts.delete(change.id);
      if (value) told.push(...this.#lay(id, (ghost) => clash(ghost, value)));
      const previous = put(known.endpoints, change.id, value);
      told.push({ scope: id, change, ...(previous ? { previous } : {}) });
    }
    return told;
  }

  /** `before`: what is known of other nodes' endpoints, and stays where those nodes have not told the store themselves. */
  #freshly(
    id: NetworkId,
    network: Network,
    { revision, snapshot }: { revision: Revision; snapshot: NetworkSnapshot },
    before: readonly Endpoint[],
  ): MirrorChange[] {
    const endpoints = new Map(snapshot.endpoints.map((endpoint) => [endpoint.id, endpoint]));
    const ghosts = before.filter((ghost) => !endpoints.has(ghost.id));
    for (const ghost of ghosts) endpoints.set(ghost.id, ghost);
    this.#followed.set(id, { network, revision, endpoints, ghosts: new Set(ghosts.map((ghost) => ghost.id)) });
    const taken = new Set(snapshot.endpoints.flatMap(claims));
    const told = new Set(snapshot.asserted);
    this.#lay(
      id,
      (ghost) => told.has(ghost.node) || !this.#nodes.has(ghost.node) || claims(ghost).some((each) => taken.has(each)),
    );
    return [{ scope: id, reset: true }];
  }

  /** Lets go of ghosts: their node has spoken or is no member any more, or somebody else has what was theirs. */
  #lay(id: NetworkId, which: (ghost: Endpoint) => boolean): MirrorChange[] {
    const followed = this.#followed.get(id);
    const told: MirrorChange[] = [];
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
    if (!network) {
      this.#wanted.delete(id);
      this.#followed.delete(id);
      return;
    }
    const followed = this.#followed.get(id);
    if (followed) followed.network = network;
  }

  /** Only after everything is applied: a listener sees one revision, and its mistakes do not tear the view. */
  #tell(changes: readonly MirrorChange[]): void {
    for (const change of changes) for (const listener of this.#onChange) listener(change);
  }

  #freeze(scope: 'registry' | NetworkId): void {
    if (this.#lost) return;
    this.#lost = scope;
    for (const listener of this.#onLost) listener(scope);
  }
}

function lost(from: Revision, delta: { revision: Revision; diverged?: true }): boolean {
  return delta.diverged === true || delta.revision.incarnation !== from.incarnation || delta.revision.n < from.n;
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
