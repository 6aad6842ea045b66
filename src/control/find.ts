import type { Endpoint } from '../model/endpoint.ts';
import type { ErrorCode } from '../model/error.ts';
import { WarrenError } from '../model/error.ts';
import type { Network } from '../model/network.ts';
import type { Node } from '../model/node.ts';
import type { Service } from '../model/service.ts';
import type { View } from '../model/view.ts';
import type { Store } from '../store/store.ts';

type Named = { readonly id: string; readonly name: string };

/** By name, by id, or by a unique prefix of 4 or more characters of an id. A name wins over a prefix. */
function find<Thing extends Named>(
  things: Iterable<Thing>,
  reference: string,
  what: string,
  absent: ErrorCode,
  list: string,
): Thing {
  const all = [...things];
  const named = all.filter(({ name }) => name === reference.toLowerCase());
  const matches = named.length > 0 || reference.length < 4 ? named : all.filter(({ id }) => id.startsWith(reference));
  if (matches.length > 1) {
    const ids = matches.map(({ id }) => id).join(', ');
    throw new WarrenError(
      'ambiguous',
      `${what} "${reference}" is ambiguous: ${ids}`,
      'write NETWORK/NAME or the whole id',
    );
  }
  if (!matches[0]) throw new WarrenError(absent, `${what} "${reference}" not found`, `see: ${list}`);
  return matches[0];
}

export function findNetwork(view: View, reference: string): Network {
  return find(view.networks.values(), reference, 'network', 'network_not_found', 'warren network ls');
}

export function findNode(view: View, reference: string): Node {
  return find(view.nodes.values(), reference, 'node', 'node_not_found', 'warren node ls');
}

/** Endpoints of one network, or of the whole cluster: this node's mirror holds only the networks it takes part in. */
export async function endpointsOf(store: Store, view: View, network?: Network): Promise<Endpoint[]> {
  const networks = network ? [network] : [...view.networks.values()];
  const lists = await Promise.all(
    networks.map(async ({ id }) => [...(view.followed.get(id)?.endpoints.values() ?? (await store.endpoints(id)))]),
  );
  return lists.flat();
}

export async function servicesOf(store: Store, view: View, network?: Network): Promise<Service[]> {
  const networks = network ? [network] : [...view.networks.values()];
  const lists = await Promise.all(
    networks.map(async ({ id }) => [...(view.followed.get(id)?.services.values() ?? (await store.services(id)))]),
  );
  return lists.flat();
}

export async function findService(store: Store, view: View, reference: string): Promise<Service> {
  const slash = reference.indexOf('/');
  const network = slash < 0 ? undefined : findNetwork(view, reference.slice(0, slash));
  const services = await servicesOf(store, view, network);
  return find(services, reference.slice(slash + 1), 'service', 'service_not_found', 'warren service ls');
}

/** NAME, NETWORK/NAME, or an id. */
export async function findEndpoint(store: Store, view: View, reference: string): Promise<Endpoint> {
  const slash = reference.indexOf('/');
  const network = slash < 0 ? undefined : findNetwork(view, reference.slice(0, slash));
  const endpoints = await endpointsOf(store, view, network);
  return find(endpoints, reference.slice(slash + 1), 'endpoint', 'endpoint_not_found', 'warren endpoint ls');
}
