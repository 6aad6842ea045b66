import type { Endpoint } from '../model/endpoint.ts';
import { idPattern } from '../model/id.ts';
import type { Network } from '../model/network.ts';
import type { Cluster, Node } from '../model/node.ts';
import type { Revision, View } from '../model/view.ts';

/*
 * A view on disk: one JSON document
 *   {"format":1,"cluster":…,"revision":…,"nodes":[…],"networks":[…],"followed":[{"id","revision","endpoints":[…],"ghosts":[id…]}]}
 */
const format = 1;

export function writeView({ cluster, revision, nodes, networks, followed }: View): string {
  return JSON.stringify({
    format,
    cluster,
    revision,
    nodes: [...nodes.values()],
    networks: [...networks.values()],
    followed: [...followed].map(([id, one]) => ({
      id,
      revision: one.revision,
      endpoints: [...one.endpoints.values()],
      ghosts: [...(one.ghosts ?? [])],
    })),
  });
}

/** A file cut short by a crash, of another version or made by hand is no view, not half of one. */
export function readView(text: string): View | undefined {
  let root: unknown;
  try {
    root = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!isRecord(root) || root.format !== format) return undefined;
  const { cluster, revision, followed } = root;
  if (!isRecord(cluster) || typeof cluster.id !== 'string' || typeof cluster.incarnation !== 'string') return undefined;
  if (!isRevision(revision) || !Array.isArray(followed)) return undefined;
  const nodes = byId<Node>(root.nodes, (node) => Array.isArray(node.routes) && typeof node.underlay === 'string');
  const networks = byId<Network>(root.networks, (one) => Array.isArray(one.subnets) && Array.isArray(one.members));
  if (!nodes || !networks) return undefined;
  const views = new Map();
  for (const one of followed as unknown[]) {
    if (!isRecord(one) || !isRevision(one.revision)) return undefined;
    const network = networks.get(one.id as Network['id']);
    const endpoints = byId<Endpoint>(one.endpoints, (each) => Array.isArray(each.addresses) && isRecord(each.born));
    if (!network || !endpoints) return undefined;
    const ghosts = new Set(Array.isArray(one.ghosts) ? (one.ghosts as unknown[]) : []);
    views.set(network.id, { network, revision: one.revision, endpoints, ghosts });
  }
  return { cluster: cluster as Cluster, revision, nodes, networks, followed: views };
}

function byId<Value extends { id: string }>(
  list: unknown,
  valid: (value: Record<string, unknown>) => boolean,
): Map<Value['id'], Value> | undefined {
  if (!Array.isArray(list)) return undefined;
  const found = new Map<Value['id'], Value>();
  for (const value of list as unknown[]) {
    if (!isRecord(value) || typeof value.id !== 'string' || !idPattern.test(value.id) || !valid(value))
      return undefined;
    found.set(value.id, value as Value);
  }
  return found;
}

function isRevision(value: unknown): value is Revision {
  return isRecord(value) && typeof value.incarnation === 'string' && Number.isSafeInteger(value.n);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
