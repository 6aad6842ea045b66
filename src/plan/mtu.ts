import { familyOf } from '../model/ip.ts';
import type { Network } from '../model/network.ts';
import type { Node } from '../model/node.ts';
import type { View } from '../model/view.ts';

/** Outer Ethernet payload a plain VXLAN packet needs: IP 20 or 40, UDP 8, VXLAN 8, inner Ethernet 14 (RFC 7348). */
export const vxlanOverhead = { 4: 50, 6: 70 } as const;

/** Largest inner packet one node can carry. */
export function capacityOf(node: Node): number {
  return node.underlayMtu - vxlanOverhead[familyOf(node.underlay)];
}

/**
 * The smallest over a network's members, so that every endpoint shows the same number; over all nodes while it has none. One
 * that was asked for is kept to while the members can carry it: a packet that does not fit is worse.
 */
export function mtuOf(view: View, network: Network): number {
  const members = network.members.flatMap((id) => view.nodes.get(id) ?? []);
  const capacity = Math.min(...(members.length > 0 ? members : [...view.nodes.values()]).map(capacityOf));
  const possible = Number.isFinite(capacity) ? capacity : 1500 - vxlanOverhead[4];
  return network.mtu === 'auto' ? possible : Math.min(network.mtu, possible);
}
