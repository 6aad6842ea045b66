import type { NetworkId, NodeId } from '../model/id.ts';
import type { Session } from './session.ts';

/**
 * Everything of the cluster but its join tokens. Networks first: an agent that sees one go tells it again, one that sees the
 * registry go makes it again; what is told after this call stays. `also`: networks that were removed leave a mark that they were.
 */
export async function clusterErase(session: Session, also: readonly NetworkId[]): Promise<void> {
  const { connection, registry } = session;
  const { announcements, tokens: _, ...rest } = registry;
  await connection.use(async (client) => {
    const known = [...(await client.hkeys(registry.networks)), ...(await client.smembers(registry.purges))];
    for (const id of new Set([...known, ...also])) await client.del(...Object.values(session.network(id as NetworkId)));
    const nodes = await client.hkeys(registry.nodes);
    await client.del(...Object.values(rest), ...nodes.map((id) => announcements(id as NodeId)));
  });
}
