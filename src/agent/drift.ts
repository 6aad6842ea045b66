import type { Kernel } from '../kernel/kernel.ts';
import type { Noun } from '../kernel/state.ts';
import type { Key } from '../plan/key.ts';

const nouns: readonly Noun[] = ['links', 'addrs', 'routes', 'neighs', 'fdb', 'nft'];
/** Our own changes are heard too, so a burst of them costs one look, not one each. */
const settleMs = 50;
const restMs = 1000;

/** Listens to the kernel in the host's and the networks' namespaces, and has a key looked at when something changed there. */
export class Drift {
  readonly #kernel: Kernel;
  readonly #look: (key: Key) => void;
  readonly #watches = new Map<string, AbortController>();
  readonly #due = new Map<Key, NodeJS.Timeout>();
  readonly #looked = new Map<Key, number>();

  constructor(kernel: Kernel, look: (key: Key) => void) {
    this.#kernel = kernel;
    this.#look = look;
  }

  watch(path: string, key: Key): void {
    if (this.#watches.has(path)) return;
    const stop = new AbortController();
    this.#watches.set(path, stop);
    void this.#listen(path, key, stop.signal);
  }

  /** Ends the watches of all other namespaces: an open socket keeps a namespace alive. */
  keep(paths: ReadonlySet<string>): void {
    for (const [path, stop] of this.#watches) {
      if (paths.has(path)) continue;
      stop.abort();
      this.#watches.delete(path);
    }
  }

  close(): void {
    this.keep(new Set());
    for (const timer of this.#due.values()) clearTimeout(timer);
  }

  async #listen(path: string, key: Key, signal: AbortSignal): Promise<void> {
    try {
      for await (const _ of this.#kernel.watch({ path }, nouns, signal)) this.#soon(key);
    } catch {
      this.#soon(key); // no watch: the namespace went meanwhile, or the 30 s pass must do
    }
    if (this.#watches.get(path)?.signal === signal) this.#watches.delete(path);
  }

  #soon(key: Key): void {
    if (this.#due.has(key)) return;
    const rest = (this.#looked.get(key) ?? 0) + restMs - Date.now();
    const timer = setTimeout(
      () => {
        this.#due.delete(key);
        this.#looked.set(key, Date.now());
        this.#look(key);
      },
      Math.max(settleMs, rest),
    );
    this.#due.set(key, timer);
  }
}
