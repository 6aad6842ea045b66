import type { NetworkId, NodeId } from '../model/id.ts';
import type { Network } from '../model/network.ts';
import { isHere } from '../plan/desired/here.ts';
import type { Mirror } from '../store/mirror.ts';
import type { Store } from '../store/store.ts';
import type { Queue } from './queue.ts';
import { Serial } from './serial.ts';

/**
 * Which networks this node takes part in. The first endpoint makes it a member, which then mirrors all the network's
 * endpoints; after the last one it is none, and its kernel holds nothing of the network. Joining and leaving one network
 * never overlap, and nobody leaves while an attach is under way.
 */
export class Membership {
  readonly #store: Store;
  readonly #mirror: Mirror;
  readonly #queue: Queue;
  readonly #self: NodeId;
  readonly #serial = new Serial();
  /** Attaches under way, per network. */
  readonly #entering = new Map<NetworkId, number>();

  constructor(store: Store, mirror: Mirror, queue: Queue, self: NodeId) {
    this.#store = store;
    this.#mirror = mirror;
    this.#queue = queue;
    this.#self = self;
  }

  /** Runs the work as a member of the network, and stays one if it made an endpoint. */
  async during<T>(network: Network, work: (network: Network) => Promise<T>): Promise<T> {
    const { id } = network;
    this.#entering.set(id, (this.#entering.get(id) ?? 0) + 1);
    let failed = true;
    try {
      const result = await work(await this.#serial.run(id, () => this.#join(network)));
      failed = false;
      return result;
    } finally {
      this.#entering.set(id, (this.#entering.get(id) ?? 1) - 1);
      if (failed) await this.leaveIfEmpty(id).catch(() => {}); // the 30 s pass tries again
    }
  }

  /** The network is to be on this node although nothing is attached to it here: its ports are published. */
  async enter(network: Network): Promise<void> {
    await this.#serial.run(network.id, () => this.#join(network));
    this.#queue.add(network.id);
  }

  /** Is an attach under way there? */
  entering(id: NetworkId): boolean {
    return (this.#entering.get(id) ?? 0) > 0;
  }

  /** No endpoint here and none coming: out of this kernel, then out of the member list. */
  async leaveIfEmpty(id: NetworkId): Promise<void> {
    await this.#serial.run(id, async () => {
      const followed = this.#mirror.view?.followed.get(id);
      if (!followed || this.#entering.get(id)) return;
      if (isHere(followed, this.#self)) return;
      await this.#queue.done(id);
      await this.#store.networkLeave(id, this.#self);
      this.#mirror.unfollow(id);
    });
  }

  async #join(network: Network): Promise<Network> {
    const followed = this.#mirror.view?.followed.get(network.id);
    if (followed?.network.members.includes(this.#self)) return followed.network;
    const joined = await this.#store.networkJoin(network.id, this.#self);
    await this.#mirror.refresh('');
    await this.#mirror.follow(network.id);
    return joined;
  }
}
