import type { Endpoint } from '../../src/model/endpoint.ts';
import { endpointMac } from '../../src/model/endpoint.ts';
import type { EndpointId, NetworkId, NodeId, ServiceId } from '../../src/model/id.ts';
import type { Cidr, Ip } from '../../src/model/ip.ts';
import type { Network } from '../../src/model/network.ts';
import type { Service } from '../../src/model/service.ts';
import type { NetworkView } from '../../src/model/view.ts';

/** A network as an endpoint of it asks about it: ids are readable, and as long as real ones. */
const id = <T extends string>(text: string): T => text.padEnd(16, 'a') as T;
export const nodes = {
  here: id<NodeId>('nodehere'),
  there: id<NodeId>('nodethere'),
  drained: id<NodeId>('nodedrained'),
} as const;

export function network(name: string, more: Partial<Network> = {}): Network {
  return {
    id: id<NetworkId>(`net${name}`),
    name,
    vni: 0x100000,
    subnets: ['10.9.0.0/16', 'fd09::/64'] as Cidr[],
    vipPools: ['10.200.0.0/20', 'fd0a::/112'] as Cidr[],
    ipRanges: [],
    reserved: [],
    mtu: 'auto',
    encrypted: true,
    internal: false,
    labels: {},
    published: [],
    members: [],
    createdAt: '2026-01-01T00:00:00.000Z',
    ...more,
  };
}

export const app = network('app');

export function endpoint(name: string, addresses: readonly string[], more: Partial<Endpoint> = {}): Endpoint {
  return {
    id: id<EndpointId>(`ep${name}`),
    network: app.id,
    node: nodes.here,
    name,
    addresses: addresses as readonly Ip[],
    mac: endpointMac(id<EndpointId>('epa')),
    netns: `/run/netns/${name}`,
    born: { boot: 'boot', dev: 4, inode: 1 },
    ifname: 'eth0',
    defaultRoute: true,
    backend: null,
    labels: {},
    state: 'ready',
    createdAt: '2026-01-01T00:00:00.000Z',
    ...more,
  };
}

export function service(name: string, vips: readonly string[], more: Partial<Service> = {}): Service {
  return {
    id: id<ServiceId>(`svc${name}`),
    network: app.id,
    name,
    vips: vips as readonly Ip[],
    ports: [
      { port: 80, target: 8080, proto: 'tcp' },
      { port: 53, target: 5353, proto: 'udp' },
    ],
    scheduler: 'rr',
    affinity: 0,
    health: { check: 'tcp', interval: 1000, timeout: 1000, retries: 3, startPeriod: 0 },
    publish: [],
    publishMode: 'ingress',
    publishFrom: [],
    labels: {},
    createdAt: '2026-01-01T00:00:00.000Z',
    ...more,
  };
}

export function backendOf({ id: service }: Service, healthy = true, weight = 1): Pick<Endpoint, 'backend'> {
  return { backend: { service, weight, healthy } };
}

export function networkView(
  endpoints: readonly Endpoint[],
  services: readonly Service[] = [],
  of: Network = app,
): NetworkView {
  return {
    network: of,
    revision: { incarnation: 'one', n: 7 },
    endpoints: new Map(endpoints.map((each) => [each.id, each])),
    services: new Map(services.map((each) => [each.id, each])),
  };
}
