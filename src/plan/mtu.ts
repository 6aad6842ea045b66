import { familyOf } from '../model/ip.ts';
import type { Network } from '../model/network.ts';
import type { Node } from '../model/node.ts';
import type { View } from '../model/view.ts';

const ipHeader = { 4: 20, 6: 40 } as const;
/** UDP 8, VXLAN 8, inner Ethernet 14 (RFC 7348). */
const vxlanHeaders = 30;
/** SPI and sequence number 8, IV 8, check value 16: both ciphers' (RFC 4303, 4106, 7634). */
const espHeaders = 32;
/** Pad length and next header; what they end is a multiple of 4 (RFC 4303 §2.4). */
const espTrailer = 2;

/** RFC 3948. */
const udpHeader = 8;

/** Largest inner packet one node can carry: of 1500 over IPv4, 1450 plain, 1416 encrypted, 1408 with ESP in UDP. */
export function capacityOf(node: Node, encrypted: boolean): number {
  const payload = node.underlayMtu - ipHeader[familyOf(node.underlay)];
  if (!encrypted) return payload - vxlanHeaders;
  const around = espHeaders + (node.encap === 'udp' ? udpHeader : 0);
  return Math.floor((payload - around) / 4) * 4 - espTrailer - vxlanHeaders;
}

/**
 * The smallest over a network's members, so that every endpoint shows the same number; over all nodes while it has none. One
 * that was asked for is kept to while the members can carry it: a packet that does not fit is worse.
 */
export function mtuOf(view: View, network: Network): number {
  const members = network.members.flatMap((id) => view.nodes.get(id) ?? []);
  const capacity = Math.min(
    ...(members.length > 0 ? members : [...view.nodes.values()]).map((node) => capacityOf(node, network.encrypted)),
  );
  const possible = Number.isFinite(capacity) ? capacity : 1416;
  return network.mtu === 'auto' ? possible : Math.min(network.mtu, possible);
}
