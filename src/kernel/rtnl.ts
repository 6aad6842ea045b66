import type { Netns } from './netns.ts';

/* What iproute2 shows: links, addresses, routes, rules, neighbours, and a bridge's forwarding database. */

export type VxlanData = {
  readonly vni: number;
  readonly local: string;
  /** UDP destination port. */
  readonly port: number;
  readonly learning: boolean;
  /** Answer ARP and ND from this device's permanent neighbours. */
  readonly proxy: boolean;
};
export type BridgeData = { readonly stp: boolean; readonly mcastSnooping: boolean; readonly ageingSeconds?: number };
/** Only for link.add: the other end, born where it is meant to live. It cannot be born up. */
export type VethData = {
  readonly peer: { readonly name: string; readonly netns: Netns; readonly mtu?: number; readonly address?: string };
};
/** Bridge port flags (`bridge link set`). */
export type PortFlags = {
  readonly learning?: boolean;
  readonly flood?: boolean;
  readonly mcastFlood?: boolean;
  readonly bcastFlood?: boolean;
  readonly neighSuppress?: boolean;
  readonly isolated?: boolean;
};

/** Equivalent to one line of `ip -d link`. */
export type Link = {
  readonly name: string;
  /** vxlan, bridge, veth, dummy, …; '' for hardware and lo. */
  readonly kind?: string;
  readonly mtu?: number;
  readonly address?: string;
  readonly up?: boolean;
  /** Name of the bridge this is a port of; null: of none. */
  readonly master?: string | null;
  readonly group?: number;
  /** How link-local IPv6 addresses are made; 'none' keeps the link free of them. */
  readonly addrGenMode?: 'eui64' | 'none';
  /** `ethtool -K DEV tso on|off`: TCP segments are cut by the device, or before it. Only read of kind vxlan; no event tells it. */
  readonly tso?: boolean;
  /** Only read, of kind vxlan: packets it could not send (`ip -s link`). */
  readonly txDropped?: number;
  readonly vxlan?: VxlanData;
  readonly bridge?: BridgeData;
  readonly veth?: VethData;
  readonly port?: PortFlags;
  /** Only for link.add: birth in another namespace than the one the request is made in (IFLA_NET_NS_FD). */
  readonly netns?: Netns;
  /** Only read: the namespace its other end is in, by this namespace's number for it (`ip link`: link-netnsid). */
  readonly linkNetnsid?: number;
};

/** `ip addr`: address with prefix length on a link. */
export type Addr = {
  readonly dev: string;
  readonly address: string;
  readonly nodad?: boolean;
  readonly scope?: number;
};

/**
 * `ip route`: dst is a prefix, never the word default (use 0.0.0.0/0, ::/0). Table defaults to main (254), of type local to
 * local (255).
 */
export type Route = {
  readonly dst: string;
  /** `ip route add local DST dev lo`: all of it is this namespace's own address. Those that come with an address are not read. */
  readonly type?: 'local';
  readonly via?: string;
  readonly dev?: string;
  readonly table?: number;
  readonly protocol?: number;
  readonly onlink?: boolean;
  readonly src?: string;
  readonly metric?: number;
};

/** `ip rule`. */
export type Rule = {
  readonly family: 4 | 6;
  readonly priority: number;
  readonly table: number;
  readonly fwmark?: number;
  readonly from?: string;
  readonly protocol?: number;
};

/** `ip neigh … nud permanent`. */
export type Neigh = { readonly dev: string; readonly dst: string; readonly lladdr: string; readonly protocol?: number };

/** `bridge fdb`: via 'self' is the device's own table (vxlan), 'master' the bridge's. */
export type Fdb = {
  readonly dev: string;
  readonly lladdr: string;
  readonly via: 'self' | 'master';
  /** Remote VTEP, only with 'self'. */
  readonly dst?: string;
  readonly externLearn?: boolean;
};
