import { WarrenError } from '../model/error.ts';
import type { NetworkId } from '../model/id.ts';
import type { Limited, Limits } from '../model/node.ts';
import type { Session } from './session.ts';
import { unexpected } from './session.ts';
import type { LimitsPatch } from './store.ts';

export async function clusterLimit(session: Session, patch: LimitsPatch): Promise<Limits> {
  const { meta, changes } = session.registry;
  const [status, text = '{}'] = session.present(
    await session.change('limit-cluster-2', '', [meta, changes], [JSON.stringify(patch)]),
  );
  if (status !== 'ok') throw unexpected(status);
  return JSON.parse(text) as Limits;
}

/** One moment of each network, not of all of them: they are in slots of their own. */
export async function count(session: Session): Promise<Record<Limited, number>> {
  const { connection, registry } = session;
  const networks = (await connection.use((client) => client.hkeys(registry.networks))) as NetworkId[];
  const sum = { networks: networks.length, endpoints: 0, services: 0 };
  await Promise.all(
    networks.map(async (id) => {
      const keys = session.network(id);
      const [endpoints, services] = await connection.use((client) =>
        Promise.all([client.hlen(keys.endpoints), client.hlen(keys.services)]),
      );
      sum.endpoints += endpoints;
      sum.services += services;
    }),
  );
  return sum;
}

export function quotaExceeded(what: Limited, limit: number): WarrenError {
  return new WarrenError(
    'quota_exceeded',
    `the cluster may have ${limit} ${what}, and has them`,
    `remove some, or raise the limit: warren cluster set --max-${what} N`,
  );
}
