import type { Endpoint } from '../model/endpoint.ts';
import type { NetworkId } from '../model/id.ts';
import { idPattern } from '../model/id.ts';
import type { Network } from '../model/network.ts';
import type { Cluster, Node } from '../model/node.ts';
import type { Service } from '../model/service.ts';
import type { Revision, View } from '../model/view.ts';
import type { Delta, NetworkSnapshot, RegistrySnapshot } from './store.ts';

/*
 * A view on disk: a JSON document on the first line, and on each further line what came after it
 *   {"format":1,"cluster":…,"revision":…,"nodes":[…],"networks":[…],"followed":[{"id","revision","endpoints":[…],"services":[…],"ghosts":[id…]}]}
 *   {"registry":DELTA}  or  {"network":ID,"delta":DELTA}  or  {"unfollow":ID}
 */
const format = 1;

/** What changes a view, as the store told it. */
export type Entry =
  | { readonly registry: Delta<RegistrySnapshot> }
  | { readonly network: NetworkId; readonly delta: Delta<NetworkSnapshot> }
  | { readonly unfollow: NetworkId };

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
      services: [...one.services.values()],
      ghosts: [...(one.ghosts ?? [])],
    })),
  });
}

/** Of another version or made by hand: no view. A line cut short by a crash is as if it had not been begun. */
export function readView(text: string): { view: View; entries: readonly Entry[] } | undefined {
  const [first = '', ...rest] = text.split('\n');
  const view = readFirst(first);
  if (!view) return undefined;
  const entries: Entry[] = [];
  for (const line of rest) {
    const entry = readEntry(line);
    if (!entry) break;
    entries.push(entry);
  }
  return { view, entries };
}

function readFirst(text: string): View | undefined {
  const root = parse(text);
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
    const services = byId<Service>(one.services, (each) => Array.isArray(each.vips) && Array.isArray(each.ports));
    if (!network || !endpoints || !services) return undefined;
    const ghosts = new Set(Array.isArray(one.ghosts) ? (one.ghosts as unknown[]) : []);
    views.set(network.id, { network, revision: one.revision, endpoints, services, ghosts });
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

/** undefined: it is none, or cut short. */
export function readEntry(line: string): Entry | undefined {
  const entry = parse(line);
  return isEntry(entry) ? entry : undefined;
}

function isEntry(value: unknown): value is Entry {
  if (!isRecord(value)) return false;
  if (typeof value.unfollow === 'string') return true;
  const delta = value.registry ?? value.delta;
  if (!isRecord(delta) || !isRevision(delta.revision)) return false;
  if (value.registry === undefined && typeof value.network !== 'string') return false;
  return delta.kind === 'snapshot' ? isRecord(delta.snapshot) : Array.isArray(delta.changes);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isRevision(value: unknown): value is Revision {
  return isRecord(value) && typeof value.incarnation === 'string' && Number.isSafeInteger(value.n);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
