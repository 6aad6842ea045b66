import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { NodeId } from '../model/id.ts';
import type { Ip } from '../model/ip.ts';
import type { Node } from '../model/node.ts';
import type { Vigilance } from './lease.ts';

/** So many probes in a row without an answer. */
const enough = 3;
/** Nobody listens there; a host that lives says so. */
const closedPort = 9;

export type HealthOptions = Pick<Vigilance, 'leaseMs' | 'quietMs' | 'probeMs'> & {
  /** All nodes but this one. */
  peers: () => Iterable<Node>;
  /** Whom the agent before found dead. */
  known: ReadonlySet<NodeId>;
  /** These were found dead, or alive again. */
  changed: (nodes: readonly NodeId[]) => void;
  /** Does a host answer within so many milliseconds? */
  ask?: (address: Ip, ms: number) => Promise<boolean>;
};

/**
 * Which peers this node finds dead. A lease that is not renewed says that an agent does not reach the store, and no more: only
 * then is the host itself asked, and what it says is for people and for balancing, never for the kernel's tables.
 *
 *   up ──its lease grows old──► asked ──lapsed, and 3 probes unanswered──► down     any answer or renewed lease leads back
 *
 * While the store says nothing, every peer's lease grows old: where its host died too, that is how the others find out.
 */
export class Health {
  readonly #options: HealthOptions;
  readonly #ask: NonNullable<HealthOptions['ask']>;
  /** When, by performance.now(), those whose lease grows old last renewed it. */
  readonly #lastSeen = new Map<NodeId, number>();
  readonly #unanswered: Map<NodeId, number>;
  readonly #asked = new Set<NodeId>();
  /** Those found dead; another set when that changes. */
  #down: ReadonlySet<NodeId>;
  #heardAt = performance.now();
  #stopped = false;

  constructor(options: HealthOptions) {
    this.#options = options;
    this.#ask = options.ask ?? answers;
    this.#down = options.known;
    this.#unanswered = new Map([...options.known].map((node) => [node, enough]));
    for (const node of options.known) this.#lastSeen.set(node, Number.NEGATIVE_INFINITY);
  }

  get down(): ReadonlySet<NodeId> {
    return this.#down;
  }

  stop(): void {
    this.#stopped = true;
  }

  /** What the store says of leases: the age of those that have not been renewed for a while. */
  heard(quiet: ReadonlyMap<NodeId, number>): void {
    this.#heardAt = performance.now();
    this.#judge((id) => {
      const age = quiet.get(id);
      return age === undefined ? undefined : this.#heardAt - age;
    });
  }

  unheard(): void {
    if (performance.now() - this.#heardAt < this.#options.quietMs) return;
    this.#judge((id) => this.#lastSeen.get(id) ?? this.#heardAt);
  }

  #judge(lastSeenOf: (id: NodeId) => number | undefined): void {
    const peers = new Map([...this.#options.peers()].map((node) => [node.id, node]));
    for (const known of [this.#lastSeen, this.#unanswered])
      for (const id of known.keys()) if (!peers.has(id)) known.delete(id);
    for (const [id, node] of peers) {
      const lastSeen = lastSeenOf(id);
      if (lastSeen === undefined) this.#lives(id);
      else {
        this.#lastSeen.set(id, lastSeen);
        // Of one behind a NAT only its lease tells: it would be the NAT that answers, or does not.
        if (!node.local && !this.#asked.has(id)) void this.#askUntilClear(node);
      }
    }
    this.#compare();
  }

  #lives(id: NodeId): void {
    this.#lastSeen.delete(id);
    this.#unanswered.delete(id);
  }

  /** One answer is enough until its lease is spoken of again; so is one more silence of a host that is known to be dead. */
  async #askUntilClear({ id, underlay }: Node): Promise<void> {
    const { probeMs } = this.#options;
    this.#asked.add(id);
    try {
      do {
        const [answered] = await Promise.all([this.#ask(underlay, probeMs), sleep(probeMs, undefined, { ref: false })]);
        if (this.#stopped || !this.#lastSeen.has(id)) return;
        if (answered) this.#unanswered.delete(id);
        else this.#unanswered.set(id, (this.#unanswered.get(id) ?? 0) + 1);
        this.#compare();
        if (answered) return;
      } while (!this.#down.has(id));
    } finally {
      this.#asked.delete(id);
    }
  }

  #compare(): void {
    const lapsed = performance.now() - this.#options.leaseMs;
    const dead = [...this.#unanswered].filter(
      ([id, count]) => count >= enough && (this.#lastSeen.get(id) ?? lapsed) <= lapsed,
    );
    const down = new Set(dead.map(([id]) => id));
    const before = this.#down;
    const changed = [...new Set([...down, ...before])].filter((id) => down.has(id) !== before.has(id));
    if (changed.length === 0) return;
    this.#down = down;
    this.#options.changed(changed);
  }
}

/** A refusal is an answer (RFC 9293 §3.10.7.1: a segment to a closed port is reset). */
function answers(address: Ip, ms: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: address, port: closedPort });
    const end = (answered: boolean) => {
      socket.destroy();
      resolve(answered);
    };
    // Where this host itself had stopped, the answer may be there, unread.
    socket.setTimeout(ms, () => setImmediate(end, false));
    socket.once('connect', () => end(true));
    socket.once('error', (error: NodeJS.ErrnoException) => end(error.code === 'ECONNREFUSED'));
  });
}
