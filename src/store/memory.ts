import type { Session } from './session.ts';
import type { Memory } from './store.ts';

/** https://redis.io/docs/latest/commands/info/, section memory; 0 bytes at most: no bound. */
export async function memory(session: Session): Promise<Memory> {
  const text = await session.connection.use((client) => client.info('memory'));
  const field = (name: string) => new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(text)?.[1] ?? '';
  // Of ours nothing has a time to live, so that volatile-* evicts nothing either.
  const evicts = field('maxmemory_policy').startsWith('allkeys');
  return { used: Number(field('used_memory')), most: Number(field('maxmemory')), evicts };
}
