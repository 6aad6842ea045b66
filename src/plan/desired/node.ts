import { host } from '../../kernel/state.ts';
import type { NodeId } from '../../model/id.ts';
import type { Ip } from '../../model/ip.ts';
import { toNumber } from '../../model/ip.ts';
import type { Network } from '../../model/network.ts';
import type { View } from '../../model/view.ts';
import { namespaceOf, tableName } from '../names.ts';
import type { Scope } from '../scope.ts';
import { merge, nothing } from '../scope.ts';
import { guard, needsGuard, portOf } from './guard.ts';
import { isHere } from './here.ts';
import { ingressChains, ingressMasquerade, ingressRoutes, ingressSysctls } from './ingress.ts';

/** New flows never enter a network by its uplink: endpoints of one network must not reach another through the host. */
const uplinks = (loopback: string): string[] => [
  `chain forward {
	type filter hook forward priority filter; policy accept;
	oifname "wup*" ct status dnat accept
	oifname "wup*" ct state new drop
}`,
  `chain egress {
	type nat hook postrouting priority srcnat; policy accept;
${loopback}	iifname "wup*" masquerade
}`,
];

/** What the host itself needs, and which of our namespaces may exist at all. */
export function nodeScope(view: View, self: NodeId): Scope {
  const followed = [...view.followed.values()].filter((each) => isHere(each, self));
  const here = followed.map(({ network }) => network);
  const open = here.some(({ internal }) => !internal);
  const plain = here.filter(({ encrypted }) => !encrypted);
  const ingress = ingressChains(self, followed);
  const loopback = ingress.length > 0 ? ingressMasquerade : '';
  const chains = [
    ...(open ? uplinks(loopback) : []),
    ...ingress,
    ...(plain[0] ? [members(view, self, plain[0], plain)] : []),
  ];
  const sysctls = ['net/ipv4/ip_forward', 'net/ipv6/conf/all/forwarding'].map((key) => ({ key, value: '1' }));
  const state = {
    ...nothing,
    routes: ingressRoutes(here),
    sysctls: [...(open ? sysctls : []), ...here.flatMap(ingressSysctls)],
    nft: chains.length > 0 ? [{ family: 'inet', name: tableName, text: chains.join('\n\n') } as const] : [],
  };
  const namespaces = here.map(({ vni }) => namespaceOf(vni));
  const scope: Scope = { namespaces, wishes: [{ netns: host, state }] };
  if (!needsGuard(view, self)) return scope;
  return merge([scope, { namespaces: [], wishes: [{ netns: host, state: guard(view.cluster) }] }]);
}

/** Who sends in clear is not known for sure, but at least is asked to have a member's address. */
function members(view: View, self: NodeId, one: Network, plain: readonly Network[]): string {
  const ids = new Set(plain.flatMap((network) => network.members));
  ids.delete(self);
  const addresses = [...ids].flatMap((id) => view.nodes.get(id)?.underlay ?? []).sort(byNumber);
  const ip = view.cluster.underlayFamily === 4 ? 'ip' : 'ip6';
  const list = addresses.length === 1 ? addresses[0] : `{ ${addresses.join(', ')} }`;
  return `chain members {
	type filter hook input priority filter; policy accept;
	udp dport ${portOf(view.cluster, one)}${addresses.length > 0 ? ` ${ip} saddr != ${list}` : ''} drop
}`;
}

/** As nft lists them. */
function byNumber(a: Ip, b: Ip): number {
  const [first, second] = [toNumber(a), toNumber(b)];
  return first < second ? -1 : first > second ? 1 : 0;
}
