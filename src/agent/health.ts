import { connect } from 'node:net';
import type { NodeId } from '../model/id.ts';
import type { Ip } from '../model/ip.ts';
import type { Node } from '../model/node.ts';
import type { Lease } from '../store/store.ts';

const everyMs = 2000;
const probeMs = 1000;
/** So many probes in a row without an answer. */
const enough = 3;
/** Nobody listens there; a host that lives says so. */
const closedPort = 9;

/**
 * Which peers this node finds dead. A lease that lapsed says that an agent cannot reach the store, and no more: only then is the
 * host itself asked, and what it says is for people and for balancing, never for the kernel's tables.
 *
 *   up ──lease lapses──► stale ──3 probes unanswered──► down      any answer or renewed lease leads back
 */
export class Health {
  readonly #unanswered: Map<NodeId, number>;
  /** Those found dead; another set when that changes. */
  #down: ReadonlySet<NodeId>;
  readonly #changed: (nodes: readonly NodeId[]) => void;
  readonly #timer: NodeJS.Timeout;
  #probing = false;

  /** `known`: whom the agent before found dead. `changed`: these were found dead, or alive again. */
  constructor(
    peers: () => Promise<readonly { node: Node; lease: Lease | undefined }[]>,
    known: ReadonlySet<NodeId>,
    changed: (nodes: readonly NodeId[]) => void,
  ) {
    this.#unanswered = new Map([...known].map((node) => [node, enough]));
    this.#down = known;
    this.#changed = changed;
    this.#timer = setInterval(() => void this.#round(peers), everyMs);
    this.#timer.unref();
  }

  isDown(node: NodeId): boolean {
    return this.#down.has(node);
  }

  get down(): ReadonlySet<NodeId> {
    return this.#down;
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  async #round(peers: () => Promise<readonly { node: Node; lease: Lease | undefined }[]>): Promise<void> {
    if (this.#probing) return;
    this.#probing = true;
    try {
      const all = await peers();
      const ids = new Set(all.map(({ node }) => node.id));
      for (const id of this.#unanswered.keys()) if (!ids.has(id)) this.#unanswered.delete(id);
      await Promise.all(all.map(({ node, lease }) => this.#examine(node, lease)));
      this.#compare();
    } catch {
      // The store does not answer: it says nothing about any peer.
    } finally {
      this.#probing = false;
    }
  }

  #compare(): void {
    const down = new Set([...this.#unanswered].filter(([, count]) => count >= enough).map(([id]) => id));
    const before = this.#down;
    const changed = [...new Set([...down, ...before])].filter((id) => down.has(id) !== before.has(id));
    if (changed.length === 0) return;
    this.#down = down;
    this.#changed(changed);
  }

  /** Of one behind a NAT only its lease tells: it would be the NAT that answers, or does not. */
  async #examine({ id, underlay, local }: Node, lease: Lease | undefined): Promise<void> {
    if (lease?.alive || local || (await answers(underlay))) this.#unanswered.delete(id);
    else this.#unanswered.set(id, (this.#unanswered.get(id) ?? 0) + 1);
  }
}

/** A refusal is an answer (RFC 9293 §3.10.7.1: a segment to a closed port is reset). */
function answers(address: Ip): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: address, port: closedPort });
    const end = (answered: boolean) => {
      socket.destroy();
      resolve(answered);
    };
    socket.setTimeout(probeMs, () => end(false));
    socket.once('connect', () => end(true));
    socket.once('error', (error: NodeJS.ErrnoException) => end(error.code === 'ECONNREFUSED'));
  });
}
