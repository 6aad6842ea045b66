import type { Addr, Fdb, Link, Neigh, Netns, NetnsState, NftTable, Route } from '../../kernel/state.ts';
import type { Endpoint } from '../../model/endpoint.ts';
import type { NodeId } from '../../model/id.ts';
import { contains, familyOf, gatewayOf, withPrefix } from '../../model/ip.ts';
import type { Network } from '../../model/network.ts';
import type { View } from '../../model/view.ts';
import { mtuOf } from '../mtu.ts';
import { bridge, endpointTable, hostEnd, hostEndMac, netnsOf, protocol, vxlan } from '../names.ts';
import type { Scope, Wish } from '../scope.ts';
import { nothing } from '../scope.ts';
import { ingressReturn } from './ingress.ts';
import { frontsOf } from './service.ts';

/** The namespace an endpoint lives in: that very one, not another of the same name. */
export function endpointNetns(endpoint: Endpoint): Netns {
  return { path: endpoint.netns, dev: endpoint.born.dev, inode: endpoint.born.inode };
}

/** One endpoint as this node sees it: a veth pair when it lives here, a neighbour and an FDB entry when elsewhere. */
export function endpointScope(view: View, self: NodeId, network: Network, endpoint: Endpoint): Scope {
  const wishes = endpoint.node === self ? local(view, network, endpoint) : remote(view, network, endpoint);
  return { namespaces: [], wishes };
}

/** Frames to it go to its veth by a static entry: nothing is learned, so nobody can claim another's MAC. */
function local(view: View, network: Network, endpoint: Endpoint): Wish[] {
  const netns = endpointNetns(endpoint);
  const mtu = mtuOf(view, network);
  const name = hostEnd(endpoint.id);
  const veth: Link = {
    name,
    kind: 'veth',
    address: hostEndMac(endpoint.id),
    mtu,
    up: true,
    master: bridge,
    addrGenMode: 'none',
    port: { learning: false, flood: false },
    veth: { peer: { name: endpoint.ifname, netns, mtu, address: endpoint.mac } },
  };
  const fdb: Fdb = { dev: name, lladdr: endpoint.mac, via: 'master', externLearn: true };
  return [
    { netns: netnsOf(network.vni), state: { ...nothing, links: [veth], fdb: [fdb] } },
    { netns, state: { ...inside(network, endpoint, mtu), nft: redirects(view, network, endpoint) } },
  ];
}

/** What the container sees: one interface, its addresses, and ways to the gateway. */
function inside(network: Network, endpoint: Endpoint, mtu: number): NetnsState {
  const dev = endpoint.ifname;
  const addrs: Addr[] = [];
  const routes: Route[] = [];
  for (const ip of endpoint.addresses) {
    const subnet = network.subnets.find((cidr) => contains(cidr, ip));
    if (!subnet) continue;
    addrs.push({ dev, address: withPrefix(ip, subnet), nodad: true });
    const via = gatewayOf(subnet);
    const pools = network.vipPools.filter((pool) => familyOf(pool) === familyOf(ip));
    routes.push(...pools.map((dst) => ({ dst, via, dev, protocol })));
    const everything = familyOf(ip) === 4 ? '0.0.0.0/0' : '::/0';
    if (endpoint.defaultRoute && !network.internal) routes.push({ dst: everything, via, dev, protocol });
  }
  const sixes = endpoint.addresses.some((ip) => familyOf(ip) === 6);
  return {
    ...nothing,
    links: [
      { name: 'lo', up: true },
      { name: dev, mtu, address: endpoint.mac, up: true },
    ],
    // Nobody of ours advertises routers; a neighbour that does must not become one.
    sysctls: sixes ? [{ key: `net/ipv6/conf/${dev}/accept_ra`, value: '0' }] : [],
    addrs,
    routes,
  };
}

/** What comes for a virtual IP is for the port its server listens on; the client's address stays. */
function redirects(view: View, network: Network, endpoint: Endpoint): NftTable[] {
  const { id, backend, ifname } = endpoint;
  const service = backend && view.followed.get(network.id)?.services.get(backend.service);
  if (!service) return [];
  const rules = frontsOf(network, service).map(({ vip, port: { proto, port, target } }) => {
    const ip = familyOf(vip) === 4 ? 'ip' : 'ip6';
    return `	iifname "${ifname}" ${ip} daddr ${vip} ${proto} dport ${port} redirect to :${target}`;
  });
  const text = `chain ports {
	type nat hook prerouting priority dstnat; policy accept;
${rules.join('\n')}
}`;
  const returns = service.publish.length > 0 ? ingressReturn(view, network, endpoint) : [];
  return [{ family: 'inet', name: endpointTable(id), text }, ...returns];
}

/** vx0 answers ARP and ND for it from the neighbour entries (proxy), and sends its frames to its node's VTEP. */
function remote(view: View, network: Network, endpoint: Endpoint): Wish[] {
  const node = view.nodes.get(endpoint.node);
  if (!node) return [];
  const lladdr = endpoint.mac;
  const neighs: Neigh[] = endpoint.addresses.map((dst) => ({ dev: vxlan, dst, lladdr, protocol }));
  const fdb: Fdb[] = [
    { dev: vxlan, lladdr, via: 'self', dst: node.underlay, externLearn: true },
    { dev: vxlan, lladdr, via: 'master', externLearn: true },
  ];
  return [{ netns: netnsOf(network.vni), state: { ...nothing, neighs, fdb } }];
}
