import { WarrenError } from '../model/error.ts';
import type { NetworkId, NodeId } from '../model/id.ts';
import type { Revision, View } from '../model/view.ts';
import { Flights } from './flight.ts';
import { Replica, type ViewChange } from './replica.ts';
import { entryOf } from './since.ts';
import type { Delta, RegistrySnapshot, Store, Written } from './store.ts';
import type { Entry } from './view-text.ts';

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
  readonly #replica: Replica;
  /** What is followed, whether or not it could be read yet. */
  readonly #wanted: Set<NetworkId>;
  readonly #flights = new Flights<'' | NetworkId>((scope) => this.#read(scope));
  readonly #onChange = new Set<(change: ViewChange) => void>();
  readonly #onLost = new Set<(scope: 'registry' | NetworkId) => void>();
  /** `NETWORKID ENTRY` of changes of ours that are in the view, and whose wake-up has not come yet: it is no news. */
  readonly #mine = new Set<string>();
  #lost: 'registry' | NetworkId | undefined;
  #poll: NodeJS.Timeout | undefined;
  #closed = false;
  readonly #log: ViewLog | undefined;

  /** `cached`: what an earlier run's log had; unreadable text counts as none. */
  constructor(store: Store, cached?: string, { pollMs = 1000, log }: MirrorOptions = {}) {
    this.#store = store;
    this.#pollMs = pollMs;
    this.#log = log;
    this.#replica = (cached === undefined ? undefined : Replica.read(cached)) ?? new Replica();
    this.#wanted = new Set(this.#replica.followed.keys());
  }

  /** An entry is logged once it is in the view: a log that starts over has it then too. */
  #kept(entry: Entry, told: ViewChange[] = []): ViewChange[] {
    const delta = 'registry' in entry ? entry.registry : 'delta' in entry ? entry.delta : undefined;
    const news = delta?.kind !== 'changes' || delta.changes.length > 0;
    if (news && this.#log && !this.#log.append(JSON.stringify(entry))) this.#log.write(this.save());
    return told;
  }

  /** undefined before the first answer of the store, unless a cached view was given. */
  get view(): View | undefined {
    return this.#replica.view;
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
    if (this.#replica.unfollow(id)) this.#kept({ unfollow: id });
  }

  onChange(listener: (change: ViewChange) => void): void {
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
        const known = this.#replica.followed.get(id);
        return { id, known, now: await this.#store.networkSince(id, known?.revision) };
      }),
    );
    const absent = read.find(({ known, now }) => known && !now);
    if (absent) throw new WarrenError('store_lost_writes', `network ${absent.id} is not in the store`, 'trying again');
    // From here on nothing waits: a listener sees all of it.
    const told = this.#applyRegistry(delta);
    for (const { id, known, now } of read) {
      const network = this.#replica.network(id);
      if (!network || !now || this.#replica.followed.get(id) !== known) continue;
      if (known && lost(known.revision, now) && now.kind === 'snapshot') {
        const others = [...known.endpoints.values()].filter(({ node }) => node !== self);
        told.push(...this.#replica.applyNetwork(id, now, others));
      } else told.push(...this.#replica.applyNetwork(id, now));
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
    return this.#replica.write();
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
    const known = this.#replica.followed.get(id);
    if (!known || this.frozen || this.#closed) return;
    const next = known.revision.incarnation === delta.revision.incarnation && known.revision.n + 1 === delta.revision.n;
    if (!next || entryOf(known.revision) !== before) return;
    this.#mine.add(`${id} ${entryOf(delta.revision)}`);
    this.#tell(this.#kept({ network: id, delta }, this.#replica.applyNetwork(id, delta)));
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
    const from = this.#replica.revision;
    const delta = await this.#store.registrySince(from).catch((error: unknown) => {
      const gone = error instanceof WarrenError && /^(not_initialized|store_lost_writes)$/.test(error.code);
      if (!gone || !from) throw error;
      return undefined;
    });
    // Frozen, or thawed with another history, while the answer was on its way.
    if (this.frozen || this.#replica.revision !== from) return;
    if (!delta || (from && lost(from, delta))) return this.#freeze('registry');
    this.#tell(this.#kept({ registry: delta }, this.#applyRegistry(delta)));
  }

  async #readNetwork(id: NetworkId): Promise<void> {
    const known = this.#replica.followed.get(id);
    const from = known?.revision;
    const delta = await this.#store.networkSince(id, from);
    if (delta === undefined) {
      // A slot is purged after the registry forgot the network, so the registry knows whether this is a loss.
      await this.#flights.run('');
      if (known && this.#replica.followed.get(id) === known && this.#replica.network(id)) this.#freeze(id);
      return;
    }
    // Created by somebody else since the registry was read last.
    if (!this.#replica.network(id)) await this.#flights.run('');
    const network = this.#replica.network(id);
    // Ids are never used again: nothing to wait for.
    if (!network) this.#wanted.delete(id);
    if (!network || !this.#wanted.has(id) || this.frozen) return;
    // Unfollowed, perhaps followed again, or thawed while the answer was on its way: another answer will come.
    if (this.#replica.followed.get(id) !== known) return;
    // A change of ours came in meanwhile: what else the answer has is still to be had.
    if (known?.revision !== from) return this.#readNetwork(id);
    if (known && lost(known.revision, delta)) return this.#freeze(id);
    this.#tell(this.#kept({ network: id, delta }, this.#replica.applyNetwork(id, delta)));
  }

  /** Only after everything is applied: a listener sees one revision, and its mistakes do not tear the view. */
  #applyRegistry(delta: Delta<RegistrySnapshot>): ViewChange[] {
    const told = this.#replica.applyRegistry(delta);
    for (const { change } of told) if (change?.kind === 'network' && !change.value) this.#wanted.delete(change.id);
    return told;
  }

  #tell(changes: readonly ViewChange[]): void {
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
