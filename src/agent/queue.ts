import type { Key } from '../plan/key.ts';

const firstRetryMs = 100;
const lastRetryMs = 30_000;

type Waiter = { resolve: () => void; reject: (error: unknown) => void };

/**
 * Keys to look at, one at a time and each at most once in the queue. Retries live here and nowhere else:
 * a key whose work failed comes back after a pause that doubles.
 */
export class Queue {
  readonly #work: (key: Key) => Promise<void>;
  readonly #failed: (key: Key, error: unknown, retryMs: number) => void;
  /** Insertion order is the order of work. */
  readonly #pending = new Set<Key>();
  /** Who waits for the next run of a key; a run that began before they asked does not count. */
  readonly #waiters = new Map<Key, Waiter[]>();
  readonly #retries = new Map<Key, { ms: number; timer: NodeJS.Timeout }>();
  #running: Promise<void> | undefined;
  #closed = false;

  constructor(work: (key: Key) => Promise<void>, failed: (key: Key, error: unknown, retryMs: number) => void) {
    this.#work = work;
    this.#failed = failed;
  }

  /** Keys waiting, for a turn or for their next try. */
  get pending(): number {
    return this.#pending.size + this.#retries.size;
  }

  get busy(): boolean {
    return this.#running !== undefined;
  }

  add(key: Key): void {
    if (this.#closed) return;
    this.#pending.add(key);
    this.#running ??= this.#run();
  }

  /** Adds the key and settles with the outcome of a run that begins after this call. */
  done(key: Key): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#closed) return reject(new Error('the agent is stopping'));
      this.#waiters.set(key, [...(this.#waiters.get(key) ?? []), { resolve, reject }]);
      this.add(key);
    });
  }

  /** Takes no more work and waits for what is under way. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#pending.clear();
    for (const { timer } of this.#retries.values()) clearTimeout(timer);
    this.#retries.clear();
    await this.#running;
    for (const waiters of this.#waiters.values())
      for (const { reject } of waiters) reject(new Error('the agent is stopping'));
    this.#waiters.clear();
  }

  async #run(): Promise<void> {
    // A caller that adds several keys in one go has them all queued before the first runs; whoever reacts to the same news
    // by waiting for a key (attach) waits for that run, and needs no second one.
    await new Promise(setImmediate);
    for (;;) {
      const [key] = this.#pending;
      if (key === undefined) {
        this.#running = undefined; // now: whoever waited for the last key may add another before this promise is settled
        return;
      }
      this.#pending.delete(key);
      const waiters = this.#waiters.get(key) ?? [];
      this.#waiters.delete(key);
      try {
        await this.#work(key);
        this.#forget(key);
        for (const { resolve } of waiters) resolve();
      } catch (error) {
        this.#failed(key, error, this.#retryLater(key));
        for (const { reject } of waiters) reject(error);
      }
    }
  }

  #forget(key: Key): void {
    clearTimeout(this.#retries.get(key)?.timer);
    this.#retries.delete(key);
  }

  #retryLater(key: Key): number {
    const ms = Math.min(lastRetryMs, 2 * (this.#retries.get(key)?.ms ?? firstRetryMs / 2));
    this.#forget(key);
    if (!this.#closed) this.#retries.set(key, { ms, timer: setTimeout(() => this.add(key), ms) });
    return ms;
  }
}
