import type { NetworkId, NodeId, ServiceId } from './id.ts';
import type { Cidr, Ip } from './ip.ts';

/** VXLAN network identifier (RFC 7348). Ours are 0x100000…0x103fff: each has its own transit addresses on every host. */
export type Vni = number;
export const firstVni: Vni = 0x100000;
export const vniCount = 0x4000;

/** In the whole cluster only one service has a port of an address. */
export type Published = {
  readonly service: ServiceId;
  readonly mode: 'ingress' | 'host';
  /** Absent: every address of the host. */
  readonly ip?: Ip;
  readonly port: number;
  readonly proto: 'tcp' | 'udp';
};

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
  /** Ports that hosts listen on for services here. */
  readonly published: readonly Published[];
  /** Nodes that have, or are about to have, endpoints here, or publish its ports. They alone hold it in their kernels. */
  readonly members: readonly NodeId[];
  readonly createdAt: string;
};
