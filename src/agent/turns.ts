import type { NodeId } from '../model/id.ts';

const firstRetryMs = 100;
const lastRetryMs = 10_000;
/** More than this is no delay of a timer. */
const farthestMs = 2 ** 31 - 1;
const mostTurns = 30;
const restMs = 1000;

/** Milliseconds since the host was started: it goes on when an agent starts again (clock_gettime(2), CLOCK_MONOTONIC). */
export const monotonic = (): number => Number(process.hrtime.bigint() / 1_000_000n);

/** Whose turn it is, and when it will be. */
export class Turns {
  readonly #due = new Set<NodeId>();
  readonly #timers = new Map<NodeId, NodeJS.Timeout>();
  readonly #retries = new Map<NodeId, number>();
  readonly #recent = new Map<NodeId, readonly number[]>();
  readonly #wake: () => void;
  #stopped = false;

  /** `wake`: a time has come. */
  constructor(wake: () => void) {
    this.#wake = wake;
  }

  get any(): boolean {
    return this.#due.size > 0;
  }

  add(id: NodeId): void {
    this.#due.add(id);
  }

  take(): NodeId[] {
    const due = [...this.#due];
    this.#due.clear();
    return due;
  }

  /** It had its turn, and wants the next one then. */
  done(id: NodeId, again: number | undefined): void {
    this.#retries.delete(id);
    const restless = this.#restless(id);
    if (again !== undefined) this.in(id, restless ? restMs : again - monotonic());
  }

  /** Its turn failed, and comes again after this many milliseconds, each time more. */
  failed(id: NodeId): number {
    const ms = Math.min(lastRetryMs, 2 * (this.#retries.get(id) ?? firstRetryMs / 2));
    this.#retries.set(id, ms);
    this.in(id, ms);
    return ms;
  }

  /** In so many milliseconds, and not when it was to be before. */
  in(id: NodeId, ms: number): void {
    if (this.#stopped) return;
    clearTimeout(this.#timers.get(id));
    this.#timers.delete(id);
    if (ms <= 0) this.#due.add(id);
    else
      this.#timers.set(
        id,
        setTimeout(() => this.#come(id), Math.min(ms, farthestMs)),
      );
  }

  drop(id: NodeId): void {
    clearTimeout(this.#timers.get(id));
    for (const each of [this.#due, this.#timers, this.#retries, this.#recent]) each.delete(id);
  }

  stop(): void {
    this.#stopped = true;
    for (const timer of this.#timers.values()) clearTimeout(timer);
  }

  #come(id: NodeId): void {
    this.#due.add(id);
    this.#wake();
  }

  /** A pair is done after a few turns; one that never is, as somebody undoes what they do, must not take the processor. */
  #restless(id: NodeId): boolean {
    const now = monotonic();
    const recent = (this.#recent.get(id) ?? []).filter((at) => at > now - restMs);
    this.#recent.set(id, [...recent, now]);
    return recent.length >= mostTurns;
  }
}
