import { WarrenError } from '../model/error.ts';
import type { Memory, Store } from '../store/store.ts';

/** From here on somebody should do something about it. */
const nearlyFull = 0.9;

export function memoryWarnings({ used, most, evicts }: Memory): string[] {
  const share = most > 0 ? used / most : 0;
  return [
    ...(evicts ? [`the store throws away what it has when it is full; set its maxmemory-policy to noeviction`] : []),
    ...(share >= nearlyFull
      ? [
          `the store has used ${Math.floor(100 * share)} % of its memory (${used} of ${most} bytes): once it is full it takes nothing new; give it more (maxmemory)`,
        ]
      : []),
  ];
}

/** A store that forgets what it was told is none. */
export async function refuseEvicting(store: Store): Promise<void> {
  // Who may not ask is told by somebody who may: managers, with `warren status`.
  const memory = await store.memory().catch(() => undefined);
  if (!memory?.evicts) return;
  throw new WarrenError(
    'store_evicts',
    `the store at ${store.url} throws away what it has when its memory is full`,
    'set its maxmemory-policy to noeviction',
  );
}
