import * as z from 'zod';
import type { Endpoint } from '../model/endpoint.ts';
import { WarrenError } from '../model/error.ts';
import type { NodeId } from '../model/id.ts';
import { idPattern } from '../model/id.ts';
import type { Network } from '../model/network.ts';
import type { Cluster, Node } from '../model/node.ts';
import { invalid } from '../model/parse.ts';
import type { Service } from '../model/service.ts';
import type { Conflict, Store } from '../store/store.ts';
import { registryOf } from './nodes.ts';

/*
 * A backup is a JSON document. No secret is in it: private keys, join tokens and users of the store are elsewhere.
 *   {"warren":"backup","format":1,"at":…,"cluster":…,"nodes":[…],
 *    "networks":[{"network":…,"endpoints":[…],"services":[…]}]}
 */
export type Backup = {
  warren: 'backup';
  format: 1;
  /** ISO 8601. */
  at: string;
  cluster: Cluster;
  nodes: readonly Node[];
  networks: readonly { network: Network; endpoints: readonly Endpoint[]; services: readonly Service[] }[];
};
export type RestoreResult = {
  at: string;
  networks: number;
  endpoints: number;
  services: number;
  /** Nodes whose agents run: they tell themselves what they hold. */
  alive: string[];
  conflicts: readonly Conflict[];
};

/** Network by network: what changes meanwhile may be in it or not. */
export async function backup(store: Store): Promise<Backup> {
  const { cluster, nodes, networks } = await registryOf(store);
  const parts: Backup['networks'][number][] = [];
  for (const network of networks) {
    const slot = await store.networkSince(network.id, undefined);
    if (slot?.kind !== 'snapshot') continue; // removed since
    const { endpoints, services } = slot.snapshot;
    parts.push({ network, endpoints, services });
  }
  return { warren: 'backup', format: 1, at: new Date().toISOString(), cluster, nodes, networks: parts };
}

/**
 * The store becomes what it was then, in a new incarnation. Agents that run take it for a store that lost writes: they tell what
 * they hold, and running containers keep their network. For nodes without an agent, and of networks that were removed since,
 * the backup speaks: containers that are still there get their network back. `replace`: although there
 * are networks in the store.
 */
export async function restore(store: Store, saved: Backup, replace: boolean): Promise<RestoreResult> {
  const there = await store.cluster();
  if (there && there.name !== saved.cluster.name)
    throw invalid(`the backup is of cluster "${saved.cluster.name}", and this host is in "${there.name}"`);
  const { networks: count = 0 } = there ? await store.count() : {};
  if (count > 0 && !replace)
    throw new WarrenError(
      'already_initialized',
      `the store at ${store.url} has ${count} networks`,
      'to replace all of it: warren restore --force',
    );
  const alive = new Set(there ? (await store.leases()).filter((lease) => lease.alive).map(({ node }) => node) : []);
  const known = new Set(there ? (await registryOf(store)).networks.map(({ id }) => id) : []);
  await store.clusterErase(saved.networks.map(({ network }) => network.id));
  const nodes = new Map(saved.nodes.map((node) => [node.id, node]));
  const networks = new Map(saved.networks.map(({ network }) => [network.id, network]));
  const view = { cluster: saved.cluster, revision: { incarnation: '', n: 0 }, nodes, networks };
  const conflicts = [...(await store.registryRestore(view, '' as NodeId)).conflicts];
  for (const { network, endpoints, services } of saved.networks) {
    const members = network.members.filter((id) => nodes.has(id));
    const silent = members.filter((id) => !(alive.has(id) && known.has(network.id)));
    // Of a network without members nobody else knows.
    const speakers = members.length > 0 ? silent : saved.nodes.slice(0, 1).map(({ id }) => id);
    for (const node of speakers) {
      const { epoch } = nodes.get(node) as Node;
      const mine = endpoints.filter((endpoint) => endpoint.node === node);
      const others = endpoints.filter((endpoint) => !speakers.includes(endpoint.node));
      conflicts.push(
        ...(await store.networkRestore(network, {
          node,
          epoch,
          revision: undefined,
          mine,
          others,
          services,
          saved: true,
        })),
      );
      // Its agent may have said meanwhile that it has nothing there.
      if (mine.length > 0) await store.networkJoin(network.id, node);
    }
  }
  const sum = (of: (part: Backup['networks'][number]) => readonly unknown[]) =>
    saved.networks.reduce((total, part) => total + of(part).length, 0);
  return {
    at: saved.at,
    networks: networks.size,
    endpoints: sum(({ endpoints }) => endpoints),
    services: sum(({ services }) => services),
    alive: saved.nodes.filter(({ id }) => alive.has(id)).map(({ name }) => name),
    conflicts,
  };
}

/** What a store would not take is refused before anything is erased. */
export function parseBackup(text: string): Backup {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw invalid('that is no backup: it is not JSON');
  }
  const result = shape.safeParse(value);
  if (!result.success) {
    const [issue] = result.error.issues;
    throw invalid(`that is no backup of this version: ${issue?.path.join('.')}: ${issue?.message}`);
  }
  return value as Backup;
}

// What is turned into other forms on the way to the store must be what it says it is; the rest is kept as it was.
const identified = z.looseObject({ id: z.string().regex(idPattern), name: z.string().min(1) });
const address = z.union([z.ipv4(), z.ipv6()]);
const prefixes = z.array(z.union([z.cidrv4(), z.cidrv6()]));
const ids = z.array(z.string().regex(idPattern));
const born = z.looseObject({ boot: z.string(), dev: z.int(), inode: z.int() });
const network = identified.extend({ vni: z.int(), subnets: prefixes, vipPools: prefixes, members: ids });
const endpoint = identified.extend({
  ...{ node: z.string().regex(idPattern), mac: z.string(), addresses: z.array(address), born },
});
const service = identified.extend({ vips: z.array(address), ports: z.array(z.looseObject({ port: z.int() })) });
const shape = z.looseObject({
  warren: z.literal('backup'),
  format: z.literal(1),
  at: z.iso.datetime(),
  cluster: identified.extend({ ula: z.cidrv6(), dataPort: z.int(), underlayFamily: z.literal([4, 6]) }),
  nodes: z.array(identified.extend({ index: z.int(), epoch: z.int(), underlay: address, routes: prefixes })),
  networks: z.array(z.looseObject({ network, endpoints: z.array(endpoint), services: z.array(service) })),
});
