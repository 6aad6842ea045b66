import type { Backend, Endpoint } from '../../src/model/endpoint.ts';
import { endpointMac } from '../../src/model/endpoint.ts';
import type { ClusterId, EndpointId, NetworkId, NodeId, ServiceId } from '../../src/model/id.ts';
import type { Cidr, Ip } from '../../src/model/ip.ts';
import type { Network } from '../../src/model/network.ts';
import { firstVni } from '../../src/model/network.ts';
import type { Node } from '../../src/model/node.ts';
import type { Service } from '../../src/model/service.ts';
import type { View } from '../../src/model/view.ts';

/** A small made-up cluster for tests of pure code: ids are readable, everything can be overridden. */

const pad = (text: string): string => text.padEnd(16, 'a');
export const nodeId = (name: string): NodeId => pad(`node${name}`) as NodeId;
export const networkId = (name: string): NetworkId => pad(`net${name}`) as NetworkId;
export const endpointId = (name: string): EndpointId => pad(`ep${name}`) as EndpointId;

export function node(name: string, index: number, fields: Partial<Node> = {}): Node {
  return {
    id: nodeId(name),
    index,
    name,
    role: 'manager',
    underlay: `10.77.0.${index}` as Ip,
    underlayMtu: 1500,
    routes: ['10.77.0.0/24' as Cidr],
    epoch: 1,
    version: '0',
    joinedAt: '2026-01-01T00:00:00.000Z',
    ...fields,
  };
}

export function network(name: string, fields: Partial<Network> = {}): Network {
  return {
    id: networkId(name),
    name,
    vni: firstVni,
    subnets: ['10.9.0.0/16', 'fd09::/64'] as Cidr[],
    vipPools: ['10.64.0.0/22', 'fd00:0:0:8000::/112'] as Cidr[],
    ipRanges: [],
    reserved: [],
    mtu: 'auto',
    encrypted: false,
    internal: false,
    labels: {},
    published: [],
    members: [],
    createdAt: '2026-01-01T00:00:00.000Z',
    ...fields,
  };
}

export function endpoint(name: string, net: Network, at: Node, host: number, fields: Partial<Endpoint> = {}): Endpoint {
  const id = endpointId(name);
  return {
    id,
    network: net.id,
    node: at.id,
    name,
    addresses: [`10.9.0.${host}`, `fd09::${host.toString(16)}`] as Ip[],
    mac: endpointMac(id),
    netns: `/run/netns/${name}`,
    born: { boot: 'boot', dev: 4, inode: 4026530000 + host },
    ifname: 'eth0',
    defaultRoute: true,
    backend: null,
    labels: {},
    state: 'ready',
    createdAt: '2026-01-01T00:00:00.000Z',
    ...fields,
  };
}

export const serviceId = (name: string): ServiceId => pad(`svc${name}`) as ServiceId;

/** Its virtual IPs are the N-th of the network's pools. */
export function service(name: string, net: Network, n: number, fields: Partial<Service> = {}): Service {
  return {
    id: serviceId(name),
    network: net.id,
    name,
    vips: [`10.64.0.${n}`, `fd00:0:0:8000::${n.toString(16)}`] as Ip[],
    ports: [{ port: 80, target: 8080, proto: 'tcp' }],
    scheduler: 'rr',
    affinity: 0,
    health: { check: 'none', interval: 2000, timeout: 1000, retries: 2, startPeriod: 0 },
    publish: [],
    publishMode: 'ingress',
    publishFrom: [],
    labels: {},
    createdAt: '2026-01-01T00:00:00.000Z',
    ...fields,
  };
}

export function backend(of: Service, fields: Partial<Backend> = {}): Backend {
  return { service: of.id, weight: 1, healthy: true, ...fields };
}

export function view(
  nodes: readonly Node[],
  networks: readonly Network[],
  endpoints: readonly Endpoint[],
  services: readonly Service[] = [],
): View {
  const revision = { incarnation: 'i', n: 1 };
  return {
    cluster: {
      id: pad('cluster') as ClusterId,
      name: 'default',
      incarnation: 'i',
      ula: 'fd00::/48' as Cidr,
      dataPort: 4789,
      underlayFamily: 4,
    },
    revision,
    nodes: new Map(nodes.map((item) => [item.id, item])),
    networks: new Map(networks.map((item) => [item.id, item])),
    followed: new Map(
      networks.map((item) => [
        item.id,
        {
          network: item,
          revision,
          endpoints: new Map(endpoints.filter((e) => e.network === item.id).map((e) => [e.id, e])),
          services: new Map(services.filter((s) => s.network === item.id).map((s) => [s.id, s])),
        },
      ]),
    ),
  };
}
