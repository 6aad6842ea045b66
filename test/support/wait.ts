import { setTimeout as sleep } from 'node:timers/promises';
import { inspect } from 'node:util';

export type WaitOptions = {
  /** What is waited for, as the end of "timed out waiting for". */
  what: string;
  /** Milliseconds in all. */
  timeout?: number;
  /** Milliseconds between two looks. */
  every?: number;
};

/** How much longer than usual everything takes here; a lab says so by how long its guests took to boot. */
let patience = 1;
const usualBootMs = 2000;

export function bootTook(ms: number): void {
  patience = Math.min(10, Math.max(patience, ms / usualBootMs));
}

/** What counts as soon, on a machine like this one. */
export function soon(ms: number): number {
  return ms * patience;
}

/**
 * Looks until the condition holds and returns what it returned. A condition holds when it returns something true; one that
 * throws (an assertion, say) does not hold yet, and its error is part of the message when time is up.
 */
export async function waitFor<T>(
  condition: () => T | Promise<T>,
  { what, timeout = 10_000, every = 50 }: WaitOptions,
): Promise<Exclude<T, false | null | undefined | 0 | ''>> {
  const end = performance.now() + soon(timeout);
  for (;;) {
    let last: unknown;
    try {
      last = await condition();
      if (last) return last as Exclude<T, false | null | undefined | 0 | ''>;
    } catch (error) {
      last = error;
    }
    if (performance.now() >= end) {
      const seen = last instanceof Error ? last.message : inspect(last, { depth: 4 });
      throw new Error(`timed out after ${timeout} ms waiting for ${what}; last: ${seen}`, { cause: last });
    }
    await sleep(every);
  }
}
