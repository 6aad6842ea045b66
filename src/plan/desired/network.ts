import type { Addr, Link, Route, Sysctl } from '../../kernel/state.ts';
import { host } from '../../kernel/state.ts';
import type { NodeId } from '../../model/id.ts';
import { gatewayOf, withPrefix } from '../../model/ip.ts';
import type { Network } from '../../model/network.ts';
import type { Node, Nodes } from '../../model/node.ts';
import { localOf } from '../../model/node.ts';
import { backendsByService, backendsOf } from '../../model/service.ts';
import type { NetworkView, View } from '../../model/view.ts';
import type { Key, PartKey } from '../key.ts';
import { endpointKey, hairpinKey, partsOf, serviceKey } from '../key.ts';
import { mtuOf } from '../mtu.ts';
import {
  bridge,
  bridgeMac,
  hostUplink,
  namespaceOf,
  netnsOf,
  protocol,
  tableName,
  transit,
  uplink,
  uplinkMac,
  vxlan,
  vxlanMac,
} from '../names.ts';
import type { Scope } from '../scope.ts';
import { merge, nothing } from '../scope.ts';
import { endpointScope } from './endpoint.ts';
import { guard, portOf } from './guard.ts';
import { hairpinScope } from './hairpin.ts';
import { isHere } from './here.ts';
import { ingressFdb } from './ingress.ts';
import { serviceScope } from './service.ts';

/** `down`: nodes whose backends get nothing new. */
type Health = { readonly down: Nodes };
const allUp: Health = { down: new Set() };

/** The whole network on this node, in the parts that change together: itself (bridge, vxlan, uplink), and each of its parts. */
export function networkParts(view: View, self: Node, followed: NetworkView, health = allUp): ReadonlyMap<Key, Scope> {
  const parts = new Map<Key, Scope>();
  if (!isHere(followed, self.id)) return parts;
  const { network, endpoints, services } = followed;
  parts.set(network.id, merge([fabric(view, self, network), ...(network.internal ? [] : [egress(self, network)])]));
  for (const [id, endpoint] of endpoints)
    parts.set(endpointKey(network.id, id), endpointScope(view, self.id, network, endpoint));
  parts.set(hairpinKey(network.id), hairpinScope(self.id, followed));
  const backends = backendsByService(endpoints.values());
  for (const [id, service] of services) {
    const scope = serviceScope(self.id, network, service, backends.get(id) ?? [], health.down);
    parts.set(serviceKey(network.id, id), scope);
  }
  return parts;
}

/** One part; nothing where there is no such thing any more. */
export function partScope(view: View, self: NodeId, followed: NetworkView, key: PartKey, { down } = allUp): Scope {
  const { network, endpoints, services } = followed;
  const { endpoint: endpointId, service: serviceId } = partsOf(key);
  const endpoint = endpointId && endpoints.get(endpointId);
  if (endpoint) return endpointScope(view, self, network, endpoint);
  const service = serviceId && services.get(serviceId);
  if (service) return serviceScope(self, network, service, backendsOf(service.id, endpoints.values()), down);
  return endpointId || serviceId ? { namespaces: [], wishes: [] } : hairpinScope(self, followed);
}

export function networkScope(view: View, self: Node, followed: NetworkView): Scope {
  return merge([...networkParts(view, self, followed).values()]);
}

/** Set before any link is born, which then inherits `default`. */
const sysctls: readonly Sysctl[] = [
  ['net/ipv4/ip_forward', '1'],
  ['net/ipv6/conf/all/forwarding', '1'],
  ['net/ipv6/conf/all/accept_ra', '0'],
  ['net/ipv6/conf/default/accept_ra', '0'],
  // Replies of a service arrive here from an address that is local here; redirects would bypass the balancer.
  ['net/ipv4/conf/all/accept_local', '1'],
  ['net/ipv4/conf/all/rp_filter', '0'],
  ['net/ipv4/conf/default/rp_filter', '0'],
  ['net/ipv4/conf/all/send_redirects', '0'],
  ['net/ipv4/conf/default/send_redirects', '0'],
  // IPVS (where it is loaded): a client's new connection from an old port is balanced anew, and what went to a destination
  // that is gone is balanced again or refused, at once.
  ['net/ipv4/vs/conntrack', '1'],
  ['net/ipv4/vs/conn_reuse_mode', '1'],
  ['net/ipv4/vs/expire_nodest_conn', '1'],
  ['net/ipv4/vs/expire_quiescent_template', '1'],
  // Where br_netfilter is loaded a new namespace starts with 1, and bridged frames would pass the IP hooks.
  ['net/bridge/bridge-nf-call-iptables', '0'],
  ['net/bridge/bridge-nf-call-ip6tables', '0'],
  ['net/bridge/bridge-nf-call-arptables', '0'],
].map(([key = '', value = '']) => ({ key, value }));

function fabric(view: View, self: Node, network: Network): Scope {
  const { vni } = network;
  const mtu = mtuOf(view, network);
  const links: Link[] = [
    { name: 'lo', up: true },
    {
      name: bridge,
      kind: 'bridge',
      address: bridgeMac(vni, self.index),
      mtu,
      up: true,
      addrGenMode: 'none',
      bridge: { stp: false, mcastSnooping: false },
    },
    {
      name: vxlan,
      kind: 'vxlan',
      address: vxlanMac(vni, self.index),
      mtu,
      up: true,
      master: bridge,
      addrGenMode: 'none',
      // With esp4_offload loaded, large segments in ESP were dropped without a trace (Linux 6.12); off costs nothing.
      ...(network.encrypted ? { tso: false } : {}),
      // Broadcast and multicast reach it so that proxy can answer ARP and ND; it has nowhere to flood them to.
      port: { learning: false, flood: false },
      vxlan: {
        vni,
        local: localOf(self),
        port: portOf(view.cluster, network),
        learning: false,
        proxy: true,
      },
    },
  ];
  const addrs: Addr[] = [
    ...network.subnets.map((subnet) => ({ dev: bridge, address: withPrefix(gatewayOf(subnet), subnet), nodad: true })),
    // Forwarded IPv6 packets are solicited for from a link-local address; without one they are dropped.
    { dev: bridge, address: 'fe80::1/64', nodad: true },
  ];
  // Every virtual IP is local, used or not (AnyIP): a new service costs no address, and an unused one refuses.
  const routes = network.vipPools.map((dst): Route => ({ dst, type: 'local', dev: 'lo', protocol }));
  return {
    namespaces: [namespaceOf(vni)],
    wishes: [
      {
        netns: netnsOf(vni),
        state: { ...nothing, links, addrs, routes, fdb: ingressFdb(view, self.id, network), sysctls },
      },
      // The host's pass wants it, too; this one must not have to wait for that.
      ...(network.encrypted ? [{ netns: host, state: guard(view.cluster) }] : []),
    ],
  };
}

const masquerade = `chain egress {
	type nat hook postrouting priority srcnat; policy accept;
	iifname "${bridge}" oifname "${uplink}" masquerade
}`;

/**
 * The way out: masqueraded here onto an address only this network has, and again by the host (node.ts),
 * so that networks with the same subnet go out at the same time.
 */
function egress(self: Node, network: Network): Scope {
  const { vni } = network;
  const ends = transit(vni);
  const outside = hostUplink(vni);
  const mtu = self.underlayMtu;
  const addrsOf = (dev: string, [four, six]: readonly [string, string], linkLocal: string): Addr[] => [
    { dev, address: `${four}/31`, nodad: true },
    { dev, address: `${six}/127`, nodad: true },
    { dev, address: `${linkLocal}/64`, nodad: true },
  ];
  const veth: Link = {
    name: uplink,
    kind: 'veth',
    mtu,
    up: true,
    address: uplinkMac(vni, 'network'),
    addrGenMode: 'none',
    veth: { peer: { name: outside, netns: host, mtu, address: uplinkMac(vni, 'host') } },
  };
  const routes: Route[] = [
    { dst: '0.0.0.0/0', via: ends.host[0], dev: uplink, protocol },
    { dst: '::/0', via: ends.host[1], dev: uplink, protocol },
  ];
  return {
    namespaces: [],
    wishes: [
      {
        netns: netnsOf(vni),
        state: {
          ...nothing,
          links: [veth],
          addrs: addrsOf(uplink, ends.network, 'fe80::2'),
          routes,
          nft: [{ family: 'inet', name: tableName, text: masquerade }],
        },
      },
      {
        netns: host,
        state: {
          ...nothing,
          links: [{ name: outside, mtu, up: true, addrGenMode: 'none' }],
          addrs: addrsOf(outside, ends.host, 'fe80::1'),
        },
      },
    ],
  };
}
