import type { Backend, Endpoint } from '../model/endpoint.ts';
import { endpointMac } from '../model/endpoint.ts';
import { WarrenError } from '../model/error.ts';
import type { EndpointId } from '../model/id.ts';
import { newId } from '../model/id.ts';
import { contains } from '../model/ip.ts';
import type { Network } from '../model/network.ts';
import type { Node } from '../model/node.ts';
import type { AttachInput } from '../model/parse.ts';
import { invalid } from '../model/parse.ts';
import type { Service } from '../model/service.ts';
import type { Store } from '../store/store.ts';

/** What the agent found in the namespace before it asks for an address. */
export type Place = { boot: string; dev: number; inode: number; ifnames: readonly string[]; hasDefaultRoute: boolean };

/** Takes addresses and writes the endpoint as wanted; the kernel follows by reconciling. */
export async function attach(
  store: Store,
  self: Node,
  network: Network,
  wish: AttachInput,
  place: Place,
  service: Service | undefined,
): Promise<Endpoint> {
  for (const address of wish.addresses) {
    if (!network.subnets.some((subnet) => contains(subnet, address))) {
      throw invalid(
        `network "${network.name}": address ${address} is in none of its subnets (${network.subnets.join(', ')})`,
      );
    }
  }
  const id = newId<'endpoint'>() as EndpointId;
  const { boot, dev, inode } = place;
  return store.endpointAttach(network, {
    id,
    network: network.id,
    node: self.id,
    epoch: self.epoch,
    name: wish.name ?? defaultName(wish.netns, id),
    addresses: wish.addresses,
    mac: wish.mac ?? endpointMac(id),
    netns: wish.netns,
    born: { boot, dev, inode },
    ifname: interfaceName(wish, place),
    defaultRoute: wish.defaultRoute && !place.hasDefaultRoute,
    backend: service ? backendOf(service, wish.weight) : null,
    labels: wish.labels,
    createdAt: new Date().toISOString(),
  });
}

/** Nobody has checked it yet: where there is a check it waits for that. */
export function backendOf(service: Service, weight: number): Backend {
  return { service: service.id, weight, healthy: service.health.check === 'none' };
}

/** The namespace's own name where it is one DNS label, else `ep-` and the id's first 8. */
function defaultName(netns: string, id: EndpointId): string {
  const base = netns.startsWith('/proc/') ? '' : netns.slice(netns.lastIndexOf('/') + 1).toLowerCase();
  return /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(base) && base !== 'tasks' ? base : `ep-${id.slice(0, 8)}`;
}

/** The name asked for, else the first free ethN. */
function interfaceName(wish: AttachInput, place: Place): string {
  if (wish.ifname !== undefined) {
    if (!place.ifnames.includes(wish.ifname)) return wish.ifname;
    throw new WarrenError(
      'ifname_taken',
      `interface "${wish.ifname}" exists in ${wish.netns}`,
      'choose another with --ifname, or leave it out',
    );
  }
  for (let n = 0; ; n++) if (!place.ifnames.includes(`eth${n}`)) return `eth${n}`;
}
