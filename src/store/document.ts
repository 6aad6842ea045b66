import type { Endpoint } from '../model/endpoint.ts';
import { WarrenError } from '../model/error.ts';
import type { Network } from '../model/network.ts';
import type { Facts, Node } from '../model/node.ts';
import type { Service } from '../model/service.ts';
import type { ServiceWish } from './store.ts';

/*
 * A document is one JSON object in lines, a group of members on each:
 *   network   head / labels / vni vipPools / subnets / published / members
 *   endpoint  head / addresses / backend / state
 *   service   head / settings / vips
 *   node      id name role / facts / joinedAt / index epoch
 * We write what a wish says, scripts write what they decide, each on lines of its own. JSON text never contains a raw
 * line end, so a script finds and replaces a line without decoding and encoding the rest, which cjson would damage
 * (empty lists become {}, members it does not know of are kept by luck only). Lines that a later version adds, before the last
 * one, stay through all that this version does.
 */

/** `{a: 1, b: 2}` → `"a":1,"b":2`; undefined members are left out. */
export function members(object: object): string {
  return JSON.stringify(object).slice(1, -1);
}

/** Equal wishes are equal texts, whatever order their keys came in. */
export function sorted<T>(record: Readonly<Record<string, T>>): Record<string, T> {
  return Object.fromEntries(Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** A node's lines but the last, which scripts write. */
export function nodeLines({ id, name, role, joinedAt, drained, ...rest }: Omit<Node, 'index' | 'epoch'>) {
  return { who: members({ id, name, role }), facts: factsLine(rest), joined: members({ joinedAt, drained }) };
}

export function factsLine({
  underlay,
  local,
  underlayMtu,
  routes,
  version,
  layout,
  identity,
  statement,
  encryption,
  encap,
}: Facts): string {
  return members({ underlay, local, underlayMtu, routes, version, layout, identity, statement, encryption, encap });
}

/** A service's lines but the last, its virtual IPs. */
export function serviceLines({ id, network, name, createdAt, vips: _, labels, ...settings }: Service | ServiceWish) {
  return {
    head: members({ id, network, name, createdAt }),
    settings: members({ ...settings, labels: sorted(labels) }),
  };
}

/** The documents as their scripts write them; a node’s up to its index. */
export function nodeText(node: Node): string {
  const { who, facts, joined } = nodeLines(node);
  return `{${who},\n${facts},\n${joined},\n`;
}

export function networkText({ labels, vni, vipPools, subnets, published, members: nodes, ...head }: Network): string {
  const lines = [head, { labels: sorted(labels) }, { vni, vipPools }, { subnets }, { published }, { members: nodes }];
  return `{${lines.map(members).join(',\n')}}`;
}

export function endpointText({ addresses, backend, state, labels, ...head }: Endpoint): string {
  const lines = [{ ...head, labels: sorted(labels) }, { addresses }, { backend }, { state }];
  return `{${lines.map(members).join(',\n')}}`;
}

export function serviceText(service: Service): string {
  const { head, settings } = serviceLines(service);
  return `{${head},\n${settings},\n${members({ vips: service.vips })}}`;
}

export type Document = { node: Node; network: Network; endpoint: Endpoint; service: Service };

export function parseDocument<Kind extends keyof Document>(kind: Kind, text: string | undefined): Document[Kind] {
  try {
    const value: unknown = JSON.parse(text ?? '');
    if (typeof value === 'object' && value !== null && 'id' in value) return value as Document[Kind];
  } catch {
    // Told below: a document nobody can read is never an empty one.
  }
  throw new WarrenError('store_schema', `the store holds a ${kind} that cannot be read`, 'was it edited by hand?');
}
