/**
 * What a network namespace holds, in iproute2's words. Plain data: no handles, no ifindexes, no netlink numbers.
 * In wanted state an absent field means "do not care"; in state read from the kernel it means "has none".
 */

/** A network namespace by path; '' is the agent's own (the host's). With dev and inode it must also be that very one. */
export type Netns = { readonly path: string; readonly dev?: number; readonly inode?: number };
export const host: Netns = { path: '' };
export type NetnsId = { readonly dev: number; readonly inode: number };

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
  readonly vxlan?: VxlanData;
  readonly bridge?: BridgeData;
  readonly veth?: VethData;
  readonly port?: PortFlags;
  /** Only for link.add: birth in another namespace than the one the request is made in (IFLA_NET_NS_FD). */
  readonly netns?: Netns;
};

/** `ip addr`: address with prefix length on a link. */
export type Addr = {
  readonly dev: string;
  readonly address: string;
  readonly nodad?: boolean;
  readonly scope?: number;
};

/** `ip route`: dst is a prefix, never the word default (use 0.0.0.0/0, ::/0). Table defaults to main (254). */
export type Route = {
  readonly dst: string;
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

/** Path below /proc/sys: `net/ipv4/ip_forward`. */
export type Sysctl = { readonly key: string; readonly value: string };

/** A whole table; text is its body exactly as `nft -s list table` prints it, so that reading it back compares equal. */
export type NftTable = { readonly family: 'inet'; readonly name: string; readonly text: string };

/** One namespace, wholly or in part: wanted, or read. */
export type NetnsState = {
  readonly links: readonly Link[];
  readonly addrs: readonly Addr[];
  readonly routes: readonly Route[];
  readonly rules: readonly Rule[];
  readonly neighs: readonly Neigh[];
  readonly fdb: readonly Fdb[];
  readonly sysctls: readonly Sysctl[];
  readonly nft: readonly NftTable[];
};
export type Noun = keyof NetnsState;

/** Which nouns to read; sysctls and nft tables must be named, as a namespace has thousands. */
export type Query = {
  readonly links?: boolean;
  readonly addrs?: boolean;
  readonly routes?: boolean;
  readonly rules?: boolean;
  readonly neighs?: boolean;
  readonly fdb?: boolean;
  readonly sysctls?: readonly string[];
  readonly nft?: readonly { readonly family: 'inet'; readonly name: string }[];
};
