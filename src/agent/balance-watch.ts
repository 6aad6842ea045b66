import type { NetworkId } from '../model/id.ts';
import type { Reconciler } from './reconcile.ts';

const everyMs = 1000;
/** Looking takes at most this part of the time. */
const share = 20;

/** IPVS tells nobody when it changes: what it holds of our services is looked at again and again. */
export class BalanceWatch {
  readonly #reconciler: Reconciler;
  readonly #busy: () => boolean;
  readonly #look: (network: NetworkId, why: string) => void;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(reconciler: Reconciler, busy: () => boolean, look: (network: NetworkId, why: string) => void) {
    this.#reconciler = reconciler;
    this.#busy = busy;
    this.#look = look;
    this.#later(everyMs);
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  #later(ms: number): void {
    if (this.#stopped) return;
    this.#timer = setTimeout(() => void this.#round(), ms);
    this.#timer.unref();
  }

  async #round(): Promise<void> {
    const began = performance.now();
    for (const network of this.#reconciler.built.keys()) {
      // While we are changing things ourselves there is nothing to judge.
      if (this.#stopped || this.#busy()) break;
      const balanced = await this.#reconciler.balanced(network).catch(() => true); // a pass will say what is wrong
      if (!balanced && !this.#busy()) this.#look(network, 'a service is not balanced as it should be');
    }
    this.#later(Math.max(everyMs, share * (performance.now() - began)));
  }
}
