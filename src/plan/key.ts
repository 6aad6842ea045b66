import type { Endpoint } from '../model/endpoint.ts';
import type { EndpointId, NetworkId, NodeId, ServiceId } from '../model/id.ts';
import type { NetworkView } from '../model/view.ts';

/** What to look at; never what happened to it. */
export type Key = 'node' | NetworkId | PartKey;
/** Parts of a network that change by themselves. */
export type PartKey =
  | `${NetworkId}/endpoint/${EndpointId}`
  | `${NetworkId}/service/${ServiceId}`
  | `${NetworkId}/hairpin`;

export function endpointKey(network: NetworkId, endpoint: EndpointId): PartKey {
  return `${network}/endpoint/${endpoint}`;
}

export function serviceKey(network: NetworkId, service: ServiceId): PartKey {
  return `${network}/service/${service}`;
}

/** Calls of backends to their own services. */
export function hairpinKey(network: NetworkId): PartKey {
  return `${network}/hairpin`;
}

/** The network a key is about, and the part if it is about one; nothing for 'node'. */
export function partsOf(key: Key): { network?: NetworkId; part?: PartKey; endpoint?: EndpointId; service?: ServiceId } {
  if (key === 'node') return {};
  const [network, noun, id] = key.split('/') as [NetworkId, string | undefined, string | undefined];
  if (noun === undefined) return { network };
  const part = key as PartKey;
  if (noun === 'endpoint') return { network, part, endpoint: id as EndpointId };
  if (noun === 'service') return { network, part, service: id as ServiceId };
  return { network, part };
}

/**
 * What an endpoint's change concerns, in the order to look at it: a new backend can be reached before it is balanced to, and
 * one that goes gets no new connections before it cannot be reached any more.
 */
export function keysOfEndpoint(self: NodeId, before: Endpoint | undefined, now: Endpoint | undefined): PartKey[] {
  const { network, id, node } = (now ?? before) as Endpoint;
  const services = new Set([before, now].flatMap((each) => each?.backend?.service ?? []));
  const balancing = [...services].map((service) => serviceKey(network, service));
  const hairpin = node === self && services.size > 0 ? [hairpinKey(network)] : [];
  const own = endpointKey(network, id);
  return now ? [own, ...hairpin, ...balancing] : [...balancing, ...hairpin, own];
}

/** The same of a service: its backends that live here have its ports in their namespaces. */
export function keysOfService(self: NodeId, id: ServiceId, { network, endpoints, services }: NetworkView): PartKey[] {
  const backends = [...endpoints.values()].filter(({ node, backend }) => node === self && backend?.service === id);
  const own = [hairpinKey(network.id), ...backends.map((backend) => endpointKey(network.id, backend.id))];
  const balancing = serviceKey(network.id, id);
  return services.has(id) ? [...own, balancing] : [balancing, ...own];
}
