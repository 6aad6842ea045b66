import type { NetworkId } from '../model/id.ts';
import type { Session } from './session.ts';
import type { AuditEntry, AuditQuery } from './store.ts';

type Raw = readonly [entry: string, fields: readonly string[]];

/** Read from the change streams themselves: nothing is changed that is not in them, and they hold some 10,000 changes each. */
export async function audit(session: Session, query: AuditQuery): Promise<readonly AuditEntry[]> {
  const { limit, since, networks, registry } = query;
  const from = since === undefined ? 0 : Date.parse(since) * 1000;
  const streams = [
    ...(registry ? [{ key: session.registry.changes, network: null }] : []),
    ...networks.map((id) => ({ key: session.network(id).changes, network: id })),
  ];
  const read = await Promise.all(
    streams.map(async ({ key, network }) => {
      const raw = await session.connection.use((client) => client.xrevrange(key, '+', '-', 'COUNT', limit));
      return entriesOf(raw.reverse(), network);
    }),
  );
  return read
    .flat()
    .filter(({ micros }) => micros >= from)
    .sort((a, b) => a.micros - b.micros)
    .slice(-limit)
    .map(({ micros, ...entry }) => ({ at: new Date(micros / 1000).toISOString(), ...entry }));
}

/** What is gone has no document any more: its name is that of the change before. */
function entriesOf(raw: readonly Raw[], network: NetworkId | null): (Omit<AuditEntry, 'at'> & { micros: number })[] {
  const names = new Map<string, string>();
  return raw.map(([entry, flat]) => {
    const { kind = '', id = '', value = '', by = '' } = fieldsOf(flat);
    const { name } = value === '' ? { name: undefined } : (JSON.parse(value) as { name?: string });
    if (name !== undefined) names.set(id, name);
    const [action = '', who = ''] = by.split(' ');
    return { micros: Number(entry.split('-')[1]), by: who, action, kind, id, name: names.get(id) ?? null, network };
  });
}

function fieldsOf(flat: readonly string[]): Record<string, string> {
  return Object.fromEntries(flat.flatMap((field, i) => (i % 2 === 0 ? [[field, flat[i + 1] ?? '']] : [])));
}
