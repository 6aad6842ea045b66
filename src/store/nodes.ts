import { randomBytes } from 'node:crypto';
import { WarrenError } from '../model/error.ts';
import type { ClusterId, NodeId } from '../model/id.ts';
import { newId } from '../model/id.ts';
import type { Cidr } from '../model/ip.ts';
import type { Cluster, Facts, Limits, Node } from '../model/node.ts';
import { factsLine, nodeLines, parseDocument } from './document.ts';
import { schema } from './keys.ts';
import type { Session } from './session.ts';
import { unexpected } from './session.ts';
import type { Lease, NodeWish, Store } from './store.ts';

/** Indexes are 14 bits on the wire; 0 is nobody. */
export const lastIndex = 16383;

/** `clusterId name incarnation ula dataPort underlayFamily limits schema`, as the scripts give them. */
export function parseCluster(fields: readonly (string | null | undefined)[]): Cluster {
  const [id, name, incarnation, ula, dataPort, underlayFamily, limits, layout] = fields;
  if (!id || !name || !incarnation || !ula) throw new WarrenError('store_schema', 'the store holds half a cluster');
  return {
    id: id as ClusterId,
    name,
    incarnation,
    ula: ula as Cidr,
    dataPort: Number(dataPort),
    underlayFamily: underlayFamily === '6' ? 6 : 4,
    layout: Number(layout),
    ...(limits && { limits: JSON.parse(limits) as Limits }),
  };
}

export async function clusterInit(
  session: Session,
  wish: Parameters<Store['clusterInit']>[0],
): Promise<{ cluster: Cluster; created: boolean }> {
  const { meta, changes } = session.registry;
  const incarnation = randomBytes(8).toString('hex');
  const { name, ula, dataPort, underlayFamily } = wish;
  const args = [session.channel, newId<'cluster'>(), incarnation, name, ula, dataPort, underlayFamily];
  const [, created, ...fields] = await session.read('init-cluster-2', [meta, changes], args);
  const cluster = parseCluster(fields);
  session.remember(cluster, true);
  return { cluster, created: created === '1' };
}

export async function cluster(session: Session): Promise<Cluster | undefined> {
  const names = ['clusterId', 'name', 'incarnation', 'ula', 'dataPort', 'underlayFamily', 'limits', 'schema'];
  const fields = await session.connection.use((client) => client.hmget(session.registry.meta, ...names));
  const layout = fields.at(-1);
  if (!layout) return undefined;
  if (Number(layout) > schema.registry) session.refuse('store_schema', layout);
  const known = parseCluster(fields);
  session.remember(known);
  return known;
}

/** Nodes whose agents do not know our layout yet; none: the store has it now. */
export async function registryUpgrade(session: Session): Promise<readonly NodeId[]> {
  const { meta, changes, nodes, leases, seen } = session.registry;
  const reply = session.present(
    await session.change('upgrade-registry-5', '', [meta, changes, nodes, leases, seen], []),
  );
  const [status, behind] = reply as unknown as [string, NodeId[]];
  if (status === 'behind') return behind;
  if (status !== 'ok') throw unexpected(status);
  return [];
}

export async function nodeRegister(session: Session, wish: NodeWish): Promise<Node> {
  const { meta, changes, nodes, nodeNames, nodeIndexes, removed, seen } = session.registry;
  const { who, facts, joined } = nodeLines(wish);
  const args = [wish.id, wish.name, who, facts, joined, lastIndex];
  const keys = [meta, changes, nodes, nodeNames, nodeIndexes, removed, seen];
  const [status, detail] = session.present(await session.change('register-node-7', '', keys, args));
  switch (status) {
    case 'ok':
      return parseDocument('node', detail);
    case 'name_taken':
      throw new WarrenError(
        status,
        `node name "${wish.name}" is taken by another node (${detail})`,
        `choose another with --name, or remove that one: warren node rm ${detail}`,
      );
    case 'index_exhausted':
      throw new WarrenError(status, `the cluster has ${lastIndex} nodes, more are not possible`);
  }
  throw unexpected(status);
}

export async function nodeRemove(session: Session, id: NodeId): Promise<boolean> {
  const {
    meta,
    changes,
    nodes,
    nodeNames,
    nodeIndexes,
    leases,
    seen,
    removed: tombs,
    announcements,
  } = session.registry;
  const keys = [meta, changes, nodes, nodeNames, nodeIndexes, leases, seen, tombs, announcements(id)];
  const [status, removed] = session.present(await session.change('remove-node-9', '', keys, [id]));
  if (status !== 'ok') throw unexpected(status);
  return removed === '1';
}

export async function nodeStart(session: Session, id: NodeId, facts: Facts, leaseMs: number, boot = ''): Promise<Node> {
  const { meta, changes, nodes, leases, seen } = session.registry;
  const args = [id, factsLine(facts), leaseMs, boot];
  const [status, detail] = session.present(
    await session.change('start-node-5', '', [meta, changes, nodes, leases, seen], args),
  );
  if (status === 'ok') return parseDocument('node', detail);
  if (status === 'identity_in_use')
    throw new WarrenError(
      status,
      `another host runs as this node (${id}); it was last seen at ${new Date(Number(detail)).toISOString()}`,
      'was this machine cloned? On the clone: warren leave --force, then join again',
    );
  throw status === 'node_not_found' ? unknownNode(id) : unexpected(status);
}

export async function nodeDrain(session: Session, id: NodeId, drained: boolean): Promise<Node> {
  const { meta, changes, nodes } = session.registry;
  const reply = await session.change('drain-node-3', '', [meta, changes, nodes], [id, drained ? 1 : 0]);
  const [status, detail] = session.present(reply);
  if (status === 'ok') return parseDocument('node', detail);
  throw status === 'node_not_found' ? unknownNode(id) : unexpected(status);
}

export async function nodeRefresh(session: Session, id: NodeId, epoch: number, facts: Facts): Promise<Node> {
  const { meta, changes, nodes } = session.registry;
  const args = [id, epoch, factsLine(facts)];
  const reply = await session.change('refresh-node-3', '', [meta, changes, nodes], args);
  const [status, detail] = session.present(reply);
  if (status === 'ok') return parseDocument('node', detail);
  if (status === 'stale_epoch') throw staleEpoch(epoch, detail);
  throw status === 'node_not_found' ? unknownNode(id) : unexpected(status);
}

export async function nodeRenew(
  session: Session,
  id: NodeId,
  epoch: number,
  leaseMs: number,
  quietMs = leaseMs,
): Promise<ReadonlyMap<NodeId, number>> {
  const { meta, nodes, leases, seen } = session.registry;
  const reply = await session.guarded('renew-node-4', [meta, nodes, leases, seen], [id, epoch, leaseMs, quietMs]);
  const [status, detail] = session.present(reply);
  if (status === 'ok') return agesOf((reply as unknown as ['ok', string[]])[1]);
  if (status === 'stale_epoch') throw staleEpoch(epoch, detail);
  throw status === 'node_not_found' ? unknownNode(id) : unexpected(status);
}

function agesOf(flat: readonly string[]): Map<NodeId, number> {
  const ages = new Map<NodeId, number>();
  for (let i = 0; i + 1 < flat.length; i += 2) {
    const age = Number(flat[i + 1]);
    ages.set(flat[i] as NodeId, age < 0 ? Number.POSITIVE_INFINITY : age);
  }
  return ages;
}

export async function leases(session: Session): Promise<readonly Lease[]> {
  const reply = session.present(await session.read('read-leases-2', [session.registry.meta, session.registry.leases]));
  const [, now, flat] = reply as unknown as [string, string, string[]];
  const found: Lease[] = [];
  for (let i = 0; i + 1 < flat.length; i += 2) {
    const [epoch = 0, expires = 0, seen = 0] = (flat[i + 1] ?? '').split(' ').map(Number);
    const lastSeen = new Date(seen).toISOString();
    found.push({ node: flat[i] as NodeId, epoch, lastSeen, alive: expires > Number(now) });
  }
  return found;
}

export function staleEpoch(epoch: number, newest: string | undefined): WarrenError {
  return new WarrenError(
    'stale_epoch',
    `a newer agent of this node has taken over (epoch ${newest}, ours is ${epoch})`,
    'is the same node identity in use twice, on a cloned machine for instance?',
  );
}

export function unknownNode(id: NodeId): WarrenError {
  return new WarrenError('node_not_found', `the cluster does not know node ${id}`, 'add this host with: warren init');
}
