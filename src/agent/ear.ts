import type { Kernel } from '../kernel/kernel.ts';
import { host } from '../kernel/state.ts';
import { lookMs } from '../keys/hearing.ts';
import { saKey } from '../keys/sa.ts';
import type { NodeId } from '../model/id.ts';
import type { Node } from '../model/node.ts';
import type { Log } from './log.ts';
import type { Peer } from './peer.ts';
import { monotonic } from './turns.ts';

/** Of its time that it may spend looking: with thousands of peers it looks less often. */
const share = 20;

/** Listens whether what peers send still comes through, every second, by what their SAs have counted (keys/hearing.ts). */
export class Ear {
  readonly #kernel: Kernel;
  readonly #self: () => Node;
  readonly #peers: ReadonlyMap<NodeId, Peer>;
  readonly #log: Log;
  /** Something is the matter with that one. */
  readonly #due: (id: NodeId) => void;
  #timer: NodeJS.Timeout;
  #looking: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(kernel: Kernel, self: () => Node, peers: ReadonlyMap<NodeId, Peer>, log: Log, due: (id: NodeId) => void) {
    this.#kernel = kernel;
    this.#self = self;
    this.#peers = peers;
    this.#log = log;
    this.#due = due;
    this.#timer = this.#after(lookMs);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#looking;
  }

  #after(ms: number): NodeJS.Timeout {
    return setTimeout(() => {
      this.#looking = this.#look();
    }, ms);
  }

  async #look(): Promise<void> {
    const began = monotonic();
    try {
      await this.#listen(began);
    } catch (error) {
      this.#log.warn('SAs cannot be looked at', { error: (error as Error).message });
    }
    if (!this.#stopped) this.#timer = this.#after(Math.max(lookMs, share * (monotonic() - began)));
  }

  async #listen(now: number): Promise<void> {
    const inUse = [...this.#peers.values()].filter(({ outcome }) => outcome?.session?.doneAt !== undefined);
    if (inUse.length === 0) return;
    const { sas } = await this.#kernel.read(host, { sas: true });
    const counters = new Map(sas.map((sa) => [saKey(sa), sa.counters]));
    for (const peer of inUse) if (await peer.listen(this.#self(), now, counters)) this.#due(peer.node.id);
  }
}
