import { domain } from '../model/dns.ts';
import type { Endpoint } from '../model/endpoint.ts';
import type { Ip } from '../model/ip.ts';
import { familyOf } from '../model/ip.ts';
import type { Nodes } from '../model/node.ts';
import type { Service } from '../model/service.ts';
import { isServing } from '../model/service.ts';
import type { Question } from './query.ts';
import type { Name, Rr } from './record.ts';
import { types } from './record.ts';
import { homeOf, readReverse, reverseZone } from './reverse.ts';
import type { Zone } from './zone.ts';

/**
 * What a name means to an endpoint of a network. Pure.
 *
 *   NAME                    an endpoint's addresses, or a service's virtual IPs
 *   tasks.SERVICE           the addresses of every backend that serves
 *   _PORT._PROTO.SERVICE, _PORT._PROTO.tasks.SERVICE      the same with ports (SRV, RFC 2782)
 *   …, ….NETWORK, ….NETWORK.warren                        for all of these; of another network there is nothing to be seen
 *   4.3.2.1.in-addr.arpa, ….ip6.arpa                      addresses of our prefixes
 *
 * Everything below `warren` and in our prefixes is ours, and so is NAME.NETWORK of every network: what is not there does not
 * exist. Nobody else is asked for addresses of names without a dot, either (dnsmasq calls it domain-needed). The rest is
 * somebody else's, and asked there unless the network is internal.
 */
export type Answer =
  | { readonly kind: 'records'; readonly records: readonly Rr[]; readonly additionals?: readonly Rr[] }
  | { readonly kind: 'nodata' | 'nxdomain'; readonly zone: Name }
  | { readonly kind: 'forward' | 'refused' };

/** Seconds. Who is gone is out of every cache two seconds later. */
export const ttl = 2;
const tasks = 'tasks';

/** What the registry knows besides this network, and what this node finds. */
export type Surroundings = {
  readonly down: Nodes;
  /** Whose backends get nothing new: those that are down, and others. */
  readonly resting: Nodes;
  /** Is that the name of some network? */
  readonly isNetwork: (name: string) => boolean;
};

/** `turn`: any number; with another one, the same records come in another order. */
export function answer(zone: Zone, around: Surroundings, question: Question, turn: number): Answer {
  const { labels, type } = question;
  const reverse = readReverse(labels);
  if (reverse) {
    const ours = homeOf([...zone.network.subnets, ...zone.network.vipPools], reverse);
    if (!ours) return outside(zone);
    const apex = reverseZone(ours, reverse);
    const { address } = reverse;
    const thing = address && zone.at(address);
    if (address && !(thing && isThere(thing, around))) return { kind: 'nxdomain', zone: apex };
    const named = thing && type === types.PTR;
    const data: Data[] = named ? [{ type: 'PTR', target: fullName(zone, thing.name) }] : [];
    return tell(question, apex, { data }, turn, zone);
  }
  const place = placeOf(zone, around, labels, type);
  if (!place) return outside(zone);
  const { local, apex } = place;
  const found = local && find(zone, around, local, type);
  return found ? tell(question, apex, found, turn, zone) : { kind: 'nxdomain', zone: apex };
}

type Place = {
  /** What is asked of this network, without its name; undefined: of nothing there is here. */
  local: readonly string[] | undefined;
  apex: Name;
};

/** undefined: the name is not ours. */
function placeOf(zone: Zone, { isNetwork }: Surroundings, labels: readonly string[], type: number): Place | undefined {
  const { name } = zone.network;
  if (labels.at(-1) === domain) {
    const inner = labels.slice(0, -1);
    if (inner.length === 0) return { local: [], apex: domain };
    const apex = inner.at(-1) === name ? `${name}.${domain}` : domain;
    return { local: inner.at(-1) === name ? inner.slice(0, -1) : undefined, apex };
  }
  const host = labels.slice(0, -1);
  const last = labels.at(-1) ?? '';
  if (isForm(host) && isNetwork(last)) return { local: last === name ? host : undefined, apex: last };
  const known = last === tasks || zone.findService(last) !== undefined || zone.findEndpoint(last) !== undefined;
  const bare = labels.length === 1 && (known || type === types.A || type === types.AAAA);
  return bare || (known && isForm(labels)) ? { local: labels, apex: '' } : undefined;
}

/** NAME, tasks.SERVICE, or either with a port in front? */
function isForm(labels: readonly string[]): boolean {
  const rest = labels[0]?.startsWith('_') ? labels.slice(/^_(tcp|udp)$/.test(labels[1] ?? '') ? 2 : 1) : labels;
  return (rest.length === 1 && rest[0] !== tasks) || (rest.length === 2 && rest[0] === tasks);
}

type Data = Rr extends infer R ? (R extends Rr ? Omit<R, 'name' | 'ttl'> : never) : never;
/** Of the type that was asked for, and of whom it speaks by name, so that nobody has to ask again. */
type Found = { data: readonly Data[]; hosts?: readonly Host[] };
type Host = { readonly name: string; readonly addresses: readonly Ip[] };
const nothing: Found = { data: [] };

/** undefined: there is no such name. No data: it is there, or something below it is. */
function find(zone: Zone, around: Surroundings, local: readonly string[], type: number): Found | undefined {
  const inner = local.at(-1);
  if (inner === undefined || (local.length === 1 && inner === tasks)) return nothing;
  const service = zone.findService(inner);
  if (local.length === 1) {
    const thing = service ?? zone.findEndpoint(inner);
    return thing && isThere(thing, around) ? { data: addressesOf([thing], type) } : undefined;
  }
  if (!service) return undefined;
  const ofTasks = local.at(-2) === tasks;
  const serving = ofTasks
    ? [...zone.backends(service.id)].filter((each) => isServing(service, each, around.resting))
    : [];
  const prefix = local.slice(0, ofTasks ? -2 : -1);
  if (prefix.length === 0) return { data: addressesOf(serving, type) };
  return findPort(service, ofTasks ? serving : undefined, prefix, type, (name) => fullName(zone, name));
}

/** `_PORT._PROTO`, or `_PROTO` above it. `serving`: undefined for the service itself. */
function findPort(
  service: Service,
  serving: readonly Endpoint[] | undefined,
  prefix: readonly string[],
  type: number,
  full: (name: string) => Name,
): Found | undefined {
  const ports = service.ports.filter(({ proto }) => `_${proto}` === prefix.at(-1));
  if (prefix.length === 1) return ports.length > 0 ? nothing : undefined;
  const port = ports.find((each) => `_${each.port}` === prefix[0]);
  if (!port || prefix.length > 2) return undefined;
  if (type !== types.SRV) return nothing;
  const srv = (to: number, weight: number, name: string) =>
    ({ type: 'SRV', priority: 0, weight, port: to, target: full(name) }) as const;
  if (!serving) return { data: [srv(port.port, 0, service.name)], hosts: [hostOf(service)] };
  const data = serving.map(({ name, backend }) => srv(port.target, backend?.weight ?? 0, name));
  return { data, hosts: serving };
}

/** Of what was found, as it is told. */
function tell(
  { labels, type }: Pick<Question, 'labels' | 'type'>,
  apex: Name,
  { data, hosts = [] }: Found,
  turn: number,
  zone: Zone,
): Answer {
  const name = labels.join('.');
  // Everything there is at once is for no honest use, and long (RFC 8482 §4.2).
  if (type === types.ANY) return { kind: 'records', records: [{ name, ttl, type: 'HINFO', cpu: 'RFC8482', os: '' }] };
  if (type === types.SOA && name === apex && apex !== '') return { kind: 'records', records: [soa(zone, apex)] };
  if (data.length === 0) return { kind: 'nodata', zone: apex };
  const first = turn % data.length;
  const records = data.map((_, n) => ({ name, ttl, ...data[(n + first) % data.length] }) as Rr);
  const additionals = hosts.flatMap((host) =>
    host.addresses.map((address) => ({ name: fullName(zone, host.name), ttl, type: typeOf(address), address })),
  );
  return { kind: 'records', records, additionals };
}

/** Where a zone begins; with a negative answer it says for how long that holds (RFC 2308 §3). */
export function soa({ network, serial }: Zone, apex: Name): Rr {
  const mname = `${network.name}.${domain}`;
  const times = { refresh: ttl, retry: ttl, expire: ttl, minimum: ttl };
  return { name: apex, ttl, type: 'SOA', mname, rname: `hostmaster.${mname}`, serial: serial >>> 0, ...times };
}

function outside({ network }: Zone): Answer {
  return { kind: network.internal ? 'refused' : 'forward' };
}

/** Services are there while they are wished for, endpoints when they can be reached, also one that drains as a backend. */
function isThere(thing: Endpoint | Service, { down }: Surroundings): boolean {
  return !('node' in thing) || (thing.state !== 'starting' && !down.has(thing.node));
}

function addressesOf(things: readonly (Endpoint | Service)[], asked: number): Data[] {
  const data: Data[] = [];
  for (const thing of things) {
    for (const address of 'vips' in thing ? thing.vips : thing.addresses) {
      const type = typeOf(address);
      if (types[type] === asked) data.push({ type, address });
    }
  }
  return data;
}

const hostOf = ({ name, vips }: Service): Host => ({ name, addresses: vips });
const typeOf = (address: Ip): 'A' | 'AAAA' => (familyOf(address) === 4 ? 'A' : 'AAAA');
const fullName = ({ network }: Zone, name: string): Name => `${name}.${network.name}.${domain}`;
