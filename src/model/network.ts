import type { NetworkId, NodeId } from './id.ts';
import type { Cidr, Ip } from './ip.ts';

/** VXLAN network identifier (RFC 7348). Ours are 0x100000…0x103fff: each has its own transit addresses on every host. */
export type Vni = number;
export const firstVni: Vni = 0x100000;
export const vniCount = 0x4000;

export type Network = {
  readonly id: NetworkId;
  readonly name: string;
  readonly vni: Vni;
  /** At most one per family, IPv4 first. */
  readonly subnets: readonly Cidr[];
  /** Virtual IPs come from here, never from a subnet. IPv4 first. */
  readonly vipPools: readonly Cidr[];
  /** Dynamic addresses come from here; empty means the whole subnet. */
  readonly ipRanges: readonly Cidr[];
  readonly reserved: readonly Ip[];
  readonly mtu: number | 'auto';
  readonly encrypted: boolean;
  readonly internal: boolean;
  readonly labels: Readonly<Record<string, string>>;
  /** Nodes that have, or are about to have, endpoints here. They alone hold the network in their kernels. */
  readonly members: readonly NodeId[];
  readonly createdAt: string;
};
