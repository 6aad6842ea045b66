import type { Fdb, NetnsState, NftTable, Route } from '../../kernel/state.ts';
import type { Endpoint } from '../../model/endpoint.ts';
import type { NodeId } from '../../model/id.ts';
import type { Cidr, Ip } from '../../model/ip.ts';
import { familyOf } from '../../model/ip.ts';
import type { Network } from '../../model/network.ts';
import type { Publish, Service } from '../../model/service.ts';
import { backendsByService } from '../../model/service.ts';
import type { NetworkView, View } from '../../model/view.ts';
import { bridgeMac, endpointTable, hostUplink, protocol, transit, vxlan } from '../names.ts';

/*
 * A published port leads any client of a host to a backend on any host, which sees the client's own address:
 *
 *   client ──► host n:PORT ──DNAT──► VIP, over the uplink ──► IPVS in the network's namespace ──► backend
 *     ▲                                                                                            │
 *     └────────── host n, which undoes its DNAT ◄── br0 of n ◄── frame to the MAC of n's br0 ◄─────┘
 *
 * The answer must leave by the host the client came in: the backend remembers in its connection which node's br0 a packet
 * came from, and puts that MAC on its answers (netdev egress, Linux 5.16). Each node has a conntrack zone, as one client port
 * may come by two of them.
 */

/** Of packets and connections that came in by a node: bit 31 and its index. */
const nodeMark = (index: number): string => `0x${(0x8000_0000 + index).toString(16)}`;
const word = { 4: 'ip', 6: 'ip6' } as const;

/** Does every node lead to it? */
export function hasIngress({ published }: Network): boolean {
  return published.some(({ mode }) => mode === 'ingress');
}

/** In the network's namespace: frames to another node's br0 go to that node. */
export function ingressFdb(view: View, self: NodeId, { vni, members, published }: Network): Fdb[] {
  if (published.length === 0) return [];
  return members
    .flatMap((id) => (id === self ? [] : (view.nodes.get(id) ?? [])))
    .flatMap(({ index, underlay }): Fdb[] => {
      const lladdr = bridgeMac(vni, index);
      return [
        { dev: vxlan, lladdr, via: 'self', dst: underlay, externLearn: true },
        { dev: vxlan, lladdr, via: 'master', externLearn: true },
      ];
    });
}

/** In a backend's namespace. */
export function ingressReturn(view: View, network: Network, { id, ifname }: Endpoint): NftTable[] {
  if (network.published.length === 0) return [];
  const nodes = network.members.flatMap((member) => view.nodes.get(member) ?? []).sort((a, b) => a.index - b.index);
  const list = (element: (index: number, mac: string) => string): string =>
    nodes.map(({ index }) => element(index, bridgeMac(network.vni, index))).join(', ');
  const from = network.vipPools.flatMap((pool) => {
    const ip = word[familyOf(pool)];
    const inside = network.subnets.find((subnet) => familyOf(subnet) === familyOf(pool));
    return inside ? [`iifname "${ifname}" ${ip} saddr != ${inside} ${ip} daddr ${pool}`] : [];
  });
  const back = network.vipPools.map(
    (pool) => `	ct original ${word[familyOf(pool)]} daddr ${pool} meta mark set ct mark`,
  );
  const zones = list((index, mac) => `${mac} : ${index}`);
  const text = `map nodes {
	type ether_addr : mark
	elements = { ${list((index, mac) => `${mac} : ${nodeMark(index)}`)} }
}

chain zones {
	type filter hook prerouting priority raw; policy accept;
${from.map((match) => `	${match} ct original zone set ether saddr map { ${zones} }`).join('\n')}
}

chain came {
	type filter hook prerouting priority mangle; policy accept;
${from.map((match) => `	${match} ct state new ct mark set ether saddr map @nodes`).join('\n')}
}

chain back {
	type route hook output priority mangle; policy accept;
${back.join('\n')}
}`;
  const frames = `map nodes {
	type mark : ether_addr
	elements = { ${list((index, mac) => `${nodeMark(index)} : ${mac}`)} }
}

chain back {
	type filter hook egress device "${ifname}" priority filter; policy accept;
	ether daddr set meta mark map @nodes
}`;
  const name = `${endpointTable(id)}_in`;
  return [
    { family: 'inet', name, text },
    { family: 'netdev', name, text: frames },
  ];
}

/** In the host: ways to the virtual IPs of networks that publish. */
export function ingressRoutes(networks: readonly Network[]): Route[] {
  return networks.flatMap(({ vni, vipPools, published }) => {
    const ends = transit(vni).network;
    return published.length === 0
      ? []
      : vipPools.map((dst) => ({ dst, via: ends[familyOf(dst) === 4 ? 0 : 1], dev: hostUplink(vni), protocol }));
  });
}

/** In the host: packets to its own addresses that go to a service instead. */
export function ingressChains(self: NodeId, networks: readonly NetworkView[]): string[] {
  const leads = networks.flatMap(({ services, endpoints }) => {
    const backends = backendsByService(endpoints.values());
    const leading = [...services.values()].filter(
      ({ id, publishMode }) => publishMode === 'ingress' || backends.get(id)?.some(({ node }) => node === self),
    );
    return leading.flatMap((service) => service.publish.flatMap((publish) => leadsOf(service, publish)));
  });
  if (leads.length === 0) return [];
  const rules = (which: (lead: Lead) => readonly string[]) =>
    leads
      .flatMap(which)
      .map((rule) => `	${rule}`)
      .join('\n');
  return [
    `chain published {
${rules(({ match, sources, to }) => (sources.length > 0 ? sources.map((source) => `${source} ${match} ${to}`) : [`${match} ${to}`]))}
}`,
    `chain own {
${rules(({ match, to }) => [`${match} ${to}`])}
}`,
    `chain ingress {
	type nat hook prerouting priority dstnat; policy accept;
	fib daddr type local jump published
}`,
    `chain local {
	type nat hook output priority -100; policy accept;
	ip6 daddr ::1 return
	fib daddr type local jump own
}`,
  ];
}

/** What comes from the loopback has an address nobody can answer. */
export const ingressMasquerade = '	oifname "wup*" ip saddr 127.0.0.0/8 masquerade\n';

type Lead = { match: string; sources: readonly string[]; to: string };

function leadsOf({ vips, publishFrom }: Service, { ip, port, vipPort, proto }: Publish): Lead[] {
  return vips
    .filter((vip) => !ip || familyOf(ip) === familyOf(vip))
    .flatMap((vip): Lead[] => {
      const family = familyOf(vip);
      const sources = publishFrom.filter((cidr) => familyOf(cidr) === family).map((cidr) => sourceOf(cidr));
      // A list that names the other family only lets nobody of this one in.
      if (publishFrom.length > 0 && sources.length === 0) return [];
      const match = `${ip ? `${word[family]} daddr ${ip}` : `meta nfproto ipv${family}`} ${proto} dport ${port}`;
      return [{ match, sources, to: `dnat ${word[family]} to ${family === 6 ? `[${vip}]` : vip}:${vipPort}` }];
    });
}

function sourceOf(cidr: Cidr): string {
  const [address, length] = cidr.split('/') as [Ip, string];
  const alone = length === (familyOf(address) === 4 ? '32' : '128');
  return `${word[familyOf(address)]} saddr ${alone ? address : cidr}`;
}

/** Of the host's end of an uplink: answers to the loopback may come in there. */
export function ingressSysctls({ vni, published }: Network): NetnsState['sysctls'] {
  const key = `net/ipv4/conf/${hostUplink(vni)}/route_localnet`;
  return published.length === 0 ? [] : [{ key, value: '1' }];
}
