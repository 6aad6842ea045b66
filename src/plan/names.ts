import type { Fdb, Link, Neigh, Netns, Policy, Route, Rule } from '../kernel/state.ts';
import type { EndpointId } from '../model/id.ts';
import { idBytes } from '../model/id.ts';
import type { Ip, Mac } from '../model/ip.ts';
import { fromNumber } from '../model/ip.ts';
import type { Vni } from '../model/network.ts';
import { firstVni } from '../model/network.ts';

/**
 * How our kernel objects are called, and how we know them again. Nothing without one of these marks is ever removed.
 * Links by name, routes, rules and neighbours by protocol, FDB entries by extern_learn, nft tables and namespaces by name.
 */

/** Route, rule and neighbour protocol (rtm_protocol, FRA_PROTOCOL, NDA_PROTOCOL): 'w'. */
export const protocol = 119;
export const tableName = 'warren';
/** Apart from the other, so that a change to that one never rewrites it. */
export const guardTable = 'warren_guard';
/** Of a backend's own namespace: it may be on several networks. */
export const endpointTable = (id: EndpointId): string => `warren_${id.slice(0, 12)}`;
/** Of a network's namespace: calls of backends to their own services. */
export const hairpinTable = 'warren_hairpin';
/** Of xfrm templates and SAs: 'warr'. */
export const reqid = 0x77617272;
/** Of xfrm policies: small, so that nobody's broad allow policy goes first. */
export const policyPriority = { peer: 1, guard: 2 } as const;
export const bridge = 'br0';
export const vxlan = 'vx0';
export const uplink = 'up0';

export const namespacePrefix = 'warren-';
export const namespaceOf = (vni: Vni): string => `${namespacePrefix}${vni}`;
export const netnsOf = (vni: Vni): Netns => ({ path: `/run/netns/${namespaceOf(vni)}` });
export const isOurNamespace = (name: string): boolean => /^warren-\d{7}$/.test(name);

/** The host's end of a network's uplink. */
export const hostUplink = (vni: Vni): string => `wup${vni}`;
/** Name a vxlan device is born under: its own is checked against the host's links, where there may be a vx0. */
export const bornVxlan = (vni: Vni): string => `wvx${vni}`;
/** Link group of host ends that carry nothing any more and are about to be deleted, all together. */
export const leaving = 119_119;
export const isHostEnd = (link: string): boolean => /^w[a-z2-7]{12}$/.test(link);
export const hostEnd = (id: EndpointId): string => `w${id.slice(0, 12)}`;

type Place = 'host' | 'network' | 'endpoint';

/** Which of the three kinds of namespace this is. */
export function placeOf(netns: Netns): Place {
  if (netns.path === '') return 'host';
  return netns.path.startsWith(`/run/netns/${namespacePrefix}`) ? 'network' : 'endpoint';
}

const ourLinks: Record<Place, RegExp> = {
  // A host end goes with its peer; nothing of the host's is ever removed by name.
  host: /^$/,
  network: /^(br0|vx0|up0|wvx\d{7}|w[a-z2-7]{12})$/,
  endpoint: /^$/,
};

export const isOurs = {
  link: (link: Link, place: Place): boolean => ourLinks[place].test(link.name),
  route: (route: Route): boolean => route.protocol === protocol,
  rule: (rule: Rule): boolean => rule.protocol === protocol,
  neigh: (neigh: Neigh): boolean => neigh.protocol === protocol,
  fdb: (fdb: Fdb): boolean => fdb.externLearn === true,
  peerPolicy: ({ priority, tmpls, partial }: Policy): boolean =>
    !partial && priority === policyPriority.peer && tmpls.some((tmpl) => tmpl.reqid === reqid),
  /** The guard's; those of peers are the pairs' matter (agent/pairs.ts). */
  policy: ({ priority, action, tmpls, selector: { proto, dport }, partial }: Policy): boolean =>
    !partial &&
    priority === policyPriority.guard &&
    action === 'block' &&
    tmpls.length === 0 &&
    proto === 17 &&
    !!dport,
};

/** Locally administered MACs, known in advance to every node and never random: kind, then what it belongs to. */
function macOf(kind: number, rest: readonly number[]): Mac {
  return [kind, ...rest].map((byte) => (byte & 0xff).toString(16).padStart(2, '0')).join(':') as Mac;
}
const device = (kind: number, vni: Vni, index: number): Mac =>
  macOf(kind, [vni >> 16, vni >> 8, vni, index >> 8, index]);
export const bridgeMac = (vni: Vni, index: number): Mac => device(0x0e, vni, index);
export const vxlanMac = (vni: Vni, index: number): Mac => device(0x06, vni, index);
export const uplinkMac = (vni: Vni, end: 'host' | 'network'): Mac => device(0x16, vni, end === 'host' ? 1 : 2);
export const hostEndMac = (id: EndpointId): Mac => macOf(0x12, idBytes(id, 5));

/** Both ends of a network's uplink: a /31 of 169.254.0.0/17 and a /127, the same pair on every host, never seen outside it. */
export function transit(vni: Vni): { host: readonly [Ip, Ip]; network: readonly [Ip, Ip] } {
  const pair = BigInt(vni - firstVni) * 2n;
  const at = (offset: bigint): readonly [Ip, Ip] => [
    fromNumber(0xa9fe0000n + pair + offset, 4),
    fromNumber((0xfdfe77617272656en << 64n) + pair + offset, 6),
  ];
  return { host: at(0n), network: at(1n) };
}
