import { WarrenError } from '../model/error.ts';
import type { Node } from '../model/node.ts';
import type { Store } from '../store/store.ts';
import type { Log } from './log.ts';

export const leaseMs = 6000;
const renewMs = 2000;

/** Tells the others that this agent lives. A lapsed lease changes nothing in any kernel; a newer agent's ends this one. */
export class Lease {
  readonly #timer: NodeJS.Timeout;

  constructor(store: Store, node: Node, log: Log, superseded: (error: Error) => void) {
    let failing = false;
    this.#timer = setInterval(async () => {
      try {
        await store.nodeRenew(node.id, node.epoch, leaseMs);
        if (failing) log.info('lease renewed again');
        failing = false;
      } catch (error) {
        if (error instanceof WarrenError && error.code === 'stale_epoch') return superseded(error);
        if (!failing) log.warn('the lease cannot be renewed', { error: (error as Error).message });
        failing = true;
      }
    }, renewMs);
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
