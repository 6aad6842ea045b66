import { registryOf } from '../control/nodes.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { Endpoint } from '../model/endpoint.ts';
import { WarrenError } from '../model/error.ts';
import type { NodeId } from '../model/id.ts';
import type { Network } from '../model/network.ts';
import type { View } from '../model/view.ts';
import type { Mirror } from '../store/mirror.ts';
import type { Conflict, Store } from '../store/store.ts';
import type { Log } from './log.ts';

const retryMs = 1000;
const keptConflicts = 100;

/** Something of this node that somebody else has in the store by now, as `status` shows it. */
export type Loss = Conflict & { name: string; network: string | null; at: string };

/**
 * The way out after the store lost writes (emptied, an older copy, a failover). The kernel is the truth about what runs here:
 *
 *   frozen ──► registry: offer all we remember ──► each network: tell what we hold ──► mirror.adopt() ──► not frozen
 *
 * Every step is harmless when run twice, and others do the same at the same time; a failure begins again from the top.
 */
export class Recovery {
  /** When this node last was through with it. */
  recoveredAt: string | null = null;
  /** Newest last. */
  readonly conflicts: Loss[] = [];
  readonly #kernel: Kernel;
  readonly #store: Store;
  readonly #mirror: Mirror;
  readonly #log: Log;
  readonly #self: NodeId;
  readonly #boot: string;
  #running: Promise<void> | undefined;
  #stopped = false;

  constructor(kernel: Kernel, store: Store, mirror: Mirror, log: Log, self: NodeId, boot: string) {
    this.#kernel = kernel;
    this.#store = store;
    this.#mirror = mirror;
    this.#log = log;
    this.#self = self;
    this.#boot = boot;
  }

  /** Recovers whenever the mirror freezes, from now on. `removed`: there is nothing to come back to. */
  watch(removed: () => void): void {
    this.#mirror.onLost((scope) => {
      this.#log.error('the store has less than it had; telling it what this node holds', { scope });
      this.#running ??= this.#untilDone(removed).finally(() => {
        this.#running = undefined;
      });
    });
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  async #untilDone(removed: () => void): Promise<void> {
    let said = '';
    while (this.#mirror.frozen && !this.#stopped) {
      try {
        await this.settle();
      } catch (error) {
        if (error instanceof WarrenError && error.code === 'node_not_found') return removed();
        const { message } = error as Error;
        if (message !== said)
          this.#log.error('the store lost writes, and cannot be told what this node holds', { error: message });
        said = message;
        await new Promise((resolve) => setTimeout(resolve, retryMs));
      }
    }
  }

  /** One try; nothing to do when nothing is lost. node_not_found when this node was removed. */
  async settle(): Promise<void> {
    const view = this.#mirror.view;
    if (!this.#mirror.frozen || !view) return;
    const { made, added, conflicts } = await this.#store.registryRestore(view, this.#self);
    const lost = conflicts.map((conflict) => named(conflict, view));
    const refused = conflicts.find(({ id }) => id === this.#self);
    if (refused?.code === 'removed') {
      throw new WarrenError('node_not_found', 'this node was removed from the cluster', 'to come back: warren init');
    }
    if (refused) {
      this.#report(lost);
      throw new Error('this node is not in the registry any more, and cannot be added again; see status');
    }
    const { nodes, networks } = await registryOf(this.#store);
    const epoch = nodes.find(({ id }) => id === this.#self)?.epoch ?? 0;
    for (const network of networks) {
      const member = network.members.includes(this.#self);
      if (!view.followed.has(network.id) && !member && !added.includes(network.id)) continue;
      const endpoints = [...(view.followed.get(network.id)?.endpoints.values() ?? [])];
      const mine = await this.#alive(endpoints.filter(({ node }) => node === this.#self));
      const others = endpoints.filter(({ node }) => node !== this.#self);
      const services = [...(view.followed.get(network.id)?.services.values() ?? [])];
      const revision = view.followed.get(network.id)?.revision;
      const claim = { node: this.#self, epoch, revision, mine, others, services };
      const losers = await this.#store.networkRestore(network, claim);
      lost.push(...losers.map((conflict) => named(conflict, view, network)));
      await this.#membership(network, member, mine.length > 0, view.followed.has(network.id));
    }
    await this.#mirror.adopt(this.#self);
    // Who lost is not in the view any more: the same reconciling that follows every change takes it out of the kernel.
    this.#report(lost);
    this.recoveredAt = new Date().toISOString();
    this.#log.info('the store has what this node holds', { made, networks: networks.length, conflicts: lost.length });
  }

  /** The store may be from before we came, or from before we left. */
  async #membership({ id }: Network, member: boolean, wanted: boolean, followed: boolean): Promise<void> {
    if (wanted && !member) await this.#store.networkJoin(id, this.#self);
    if (wanted || !member || followed) return;
    await this.#store.networkLeave(id, this.#self);
    // A backup may bring back, at this very moment, what was here and nobody here knew of any more: looked at after leaving.
    const restored = (await this.#store.endpoints(id)).some(({ node }) => node === this.#self);
    if (restored) await this.#store.networkJoin(id, this.#self);
  }

  /** Only what is still there is told; after a reboot nothing is. */
  async #alive(mine: readonly Endpoint[]): Promise<Endpoint[]> {
    const alive: Endpoint[] = [];
    for (const endpoint of mine) {
      const { boot, dev, inode } = endpoint.born;
      const there = boot === this.#boot ? await this.#kernel.identify(endpoint.netns) : undefined;
      if (there?.dev === dev && there.inode === inode) alive.push(endpoint);
    }
    return alive;
  }

  #report(losses: readonly Loss[]): void {
    for (const loss of losses) {
      const { kind, name, network, code, holder, id } = loss;
      if (this.conflicts.some((known) => known.id === id && known.holder === holder)) continue;
      this.conflicts.push(loss);
      this.#log.error(`${kind} "${name}" is lost: somebody else has what was its in the store`, {
        network,
        code,
        holder,
        id,
      });
    }
    this.conflicts.splice(0, this.conflicts.length - keptConflicts);
  }
}

function named(conflict: Conflict, view: View, network?: Network): Loss {
  const { id, kind } = conflict;
  const things: Iterable<{ id: string; name: string }> =
    kind === 'node'
      ? view.nodes.values()
      : kind === 'network'
        ? view.networks.values()
        : (view.followed.get(network?.id as Network['id'])?.endpoints.values() ?? []);
  const name = [...things].find((thing) => thing.id === id)?.name ?? id;
  return { ...conflict, name, network: network?.name ?? null, at: new Date().toISOString() };
}
