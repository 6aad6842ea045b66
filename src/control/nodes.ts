import { WarrenError } from '../model/error.ts';
import type { NodeId } from '../model/id.ts';
import type { Node } from '../model/node.ts';
import type { View } from '../model/view.ts';
import type { RegistrySnapshot, Store } from '../store/store.ts';
import { endpointsOf } from './find.ts';

/** Takes out a node that is gone for good. With force also one that lives or has endpoints; its agent ends when it hears. */
export async function removeNode(store: Store, view: View, self: NodeId, node: Node, force: boolean): Promise<void> {
  if (node.id === self)
    throw new WarrenError('node_alive', `node "${node.name}" is this host`, 'take it out with: warren leave');
  if (!force) await refuseLosses(store, view, node);
  await withdrawNode(store, node.id);
  await store.nodeRemove(node.id);
  // Also what its agent attached before it heard.
  await withdrawNode(store, node.id);
}

async function refuseLosses(store: Store, view: View, { id, name }: Node): Promise<void> {
  const lease = (await store.leases()).find(({ node }) => node === id);
  if (lease?.alive) {
    throw new WarrenError(
      'node_alive',
      `the agent of node "${name}" is alive`,
      'on that host: warren leave; or take it out all the same with --force',
    );
  }
  const joined = [...view.networks.values()].filter(({ members }) => members.includes(id));
  const counts = await Promise.all(
    joined.map(async (network) => (await endpointsOf(store, view, network)).filter(({ node }) => node === id).length),
  );
  const count = counts.reduce((sum, each) => sum + each, 0);
  if (count === 0) return;
  const where = joined.flatMap((network, i) => (counts[i] ? [`"${network.name}"`] : [])).sort();
  throw new WarrenError(
    'node_in_use',
    `node "${name}" has ${count} endpoint${count === 1 ? '' : 's'} on ${where.join(', ')}`,
    'if that host never comes back, remove it with --force: they are detached',
  );
}

/** Detaches a node's endpoints and ends its memberships: others stop sending at once. Harmless when run twice. */
export async function withdrawNode(store: Store, id: NodeId): Promise<void> {
  for (const network of (await registryOf(store)).networks.filter(({ members }) => members.includes(id))) {
    const endpoints = (await store.endpoints(network.id)).filter(({ node }) => node === id);
    for (const endpoint of endpoints) await store.endpointDetach(network.id, endpoint.id);
    await store.networkLeave(network.id, id);
  }
}

/** As it is now, whatever a mirror knows. */
export async function registryOf(store: Store): Promise<RegistrySnapshot> {
  const delta = await store.registrySince(undefined);
  if (delta.kind === 'snapshot') return delta.snapshot;
  throw new WarrenError('internal', 'the store gave no snapshot');
}
