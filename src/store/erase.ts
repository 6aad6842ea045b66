import type { NetworkId, NodeId } from '../model/id.ts';
import { cluster } from './nodes.ts';
import type { Session } from './session.ts';

/**
 * Everything of the cluster but its join tokens. Networks first: an agent that sees one go tells it again, one that sees the
 * registry go makes it again; what is told after this call stays. `also`: networks that were removed leave a mark that they were.
 */
export async function clusterErase(session: Session, also: readonly NetworkId[]): Promise<void> {
  const { meta, nodes, announcements, tokens: _, ...rest } = session.registry;
  await cluster(session); // of another layout nothing goes
  const known = await session.connection.use((client) =>
    Promise.all([client.hkeys(rest.networks), client.smembers(rest.purges)]),
  );
  for (const id of new Set([...known.flat(), ...also] as NetworkId[]))
    await session.read('erase-network-18', Object.values(session.network(id)));
  await session.read('erase-registry-15', [meta, nodes, announcements('' as NodeId), ...Object.values(rest)]);
}
