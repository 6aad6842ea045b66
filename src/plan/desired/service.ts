import type { IpvsDest, IpvsKey, IpvsService, IpvsTimeouts } from '../../kernel/state.ts';
import type { Endpoint } from '../../model/endpoint.ts';
import type { NodeId } from '../../model/id.ts';
import type { Cidr, Ip } from '../../model/ip.ts';
import { contains, familyOf, rangeOf, toNumber } from '../../model/ip.ts';
import type { Network } from '../../model/network.ts';
import type { Nodes } from '../../model/node.ts';
import type { Service, ServicePort } from '../../model/service.ts';
import { isServing } from '../../model/service.ts';
import { netnsOf } from '../names.ts';
import type { Scope } from '../scope.ts';
import { nothing } from '../scope.ts';

/*
 * A service in a network's namespace, the same on every node: any of them balances, and none has to be asked.
 *
 *   client ──► VIP:port ──IPVS, direct routing──► backend, here or on another node ──nft redirect──► target port
 *
 * The packet keeps its source and its destination until it is in the backend's own namespace: the server sees the client, and
 * answers it without passing here again (kernel documentation, ipvs-sysctl; ipvsadm(8), -g).
 *
 * A backend that calls its own service may be balanced to itself, and would get its own packet back from outside. Such calls
 * (local backend, virtual IP) go through a twin of the service instead, chosen by a mark: it masquerades what stays on this
 * node, and routes the rest as ever. The marks are set by a table of their own (hairpin.ts).
 */

/**
 * Marks of a port of a virtual IP: 1, UDP, which twin, 13 bits of the address from its pool's first (store/services.ts), 16 of
 * the port.
 */
const bits = { ours: 0x8000_0000, udp: 0x4000_0000, own: 0, here: 0x2000_0000 };

/** `own`: a backend calls its own service. `here`: from outside, to a service whose nodes lead to their own backends. */
export function twinMark(twin: 'own' | 'here', { vip, pool, port: { proto, port } }: Front): number {
  const offset = Number(toNumber(vip) - rangeOf(pool).first);
  return (bits.ours | (proto === 'udp' ? bits.udp : 0) | bits[twin] | (offset << 16) | port) >>> 0;
}

/**
 * A connection that is forgotten is refused with its next packet, and by default 15 minutes of silence are enough. Linux asks
 * a silent peer after 7200 s (tcp(7), tcp_keepalive_time), and by then it must still be known: 240 s more are three of its
 * probes. The other two are the kernel's own, named so that they are put back.
 */
const timeouts: IpvsTimeouts = { tcp: 7440, tcpFin: 120, udp: 300 };

/** A port of a virtual IP, with the pool that is from. */
export type Front = { readonly vip: Ip; readonly pool: Cidr; readonly port: ServicePort };

export function frontsOf(network: Network, service: Service): Front[] {
  return service.vips.flatMap((vip) => {
    const pool = network.vipPools.find((cidr) => contains(cidr, vip));
    return pool ? service.ports.map((port) => ({ vip, pool, port })) : [];
  });
}

/** As `ipvsadm -t|-u` names it. */
export const frontKey = ({ vip, port }: Front): IpvsKey => ({ proto: port.proto, address: vip, port: port.port });

export function serviceScope(
  self: NodeId,
  network: Network,
  service: Service,
  backends: readonly Endpoint[],
  down: Nodes,
): Scope {
  const ipvs: IpvsService[] = [];
  const ipvsDests: IpvsDest[] = [];
  const hosted = service.publish.length > 0 && service.publishMode === 'host';
  for (const at of frontsOf(network, service)) {
    const { vip, port } = at;
    const family = familyOf(vip);
    // Named although it is the default: a service whose affinity ends would keep it.
    const settings = { scheduler: service.scheduler, persistent: service.affinity };
    const front = frontKey(at);
    const twin: IpvsKey = { fwmark: twinMark('own', at), family };
    const near: IpvsKey = { fwmark: twinMark('here', at), family };
    // The twin first: a hash scheduler that finds none for a backend's own call goes on failing it.
    for (const key of [twin, ...(hosted ? [near] : []), front]) ipvs.push({ ...key, ...settings });
    for (const backend of backends) {
      const address = backend.addresses.find((ip) => familyOf(ip) === family);
      // A UDP flow has no end that shows; without its destination it is balanced anew at once.
      if (!address || (port.proto === 'udp' && down.has(backend.node))) continue;
      const weight = isServing(service, backend, down) ? (backend.backend?.weight ?? 1) : 0;
      const routed = { address, port: port.port, method: 'route', weight } as const;
      const here = { address, port: port.target, method: 'masq', weight } as const;
      const local = backend.node === self;
      ipvsDests.push({ service: twin, ...(local ? here : routed) }, { service: front, ...routed });
      if (hosted && local) ipvsDests.push({ service: near, ...routed });
    }
  }
  const state = { ...nothing, ipvs, ipvsDests, ipvsTimeouts: [timeouts] };
  return { namespaces: [], wishes: [{ netns: netnsOf(network.vni), state }] };
}
