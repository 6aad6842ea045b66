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

/** What names an SA: the SPI ESP packets to `dst` carry; host byte order, 256 or more. `ip xfrm state get dst DST proto esp spi SPI`. */
export type SaId = { readonly dst: string; readonly spi: number };

/** ESP in UDP (RFC 3948): ports of the outer header. Packets come in only while a socket is open there: Kernel.socket, 'espinudp'. */
export type Encap = { readonly sport: number; readonly dport: number };

/** How long an SA lasts; absent is for ever. Counted are the bytes of whole packets before encryption. */
export type SaLimit = {
  readonly bytes?: number;
  readonly packets?: number;
  /** Since it was added. */
  readonly seconds?: number;
  /** Since its first packet. */
  readonly useSeconds?: number;
};

/** `ip -s xfrm state`; exact up to 2^53. Times are Unix seconds. */
export type SaCounters = {
  readonly bytes: number;
  readonly packets: number;
  readonly addTime: number;
  /** Of its first packet; absent before. */
  readonly useTime?: number;
  /** Sequence number of the last packet sent, with ESN's high word. */
  readonly oseq: number;
  /** Highest sequence number received, with ESN's high word. */
  readonly seq: number;
  /** Packets refused (struct xfrm_stats): too old for the window, seen before, not authentic. */
  readonly replayWindow: number;
  readonly replay: number;
  readonly integrityFailed: number;
};

/**
 * An ESP security association (`ip xfrm state`), without its key: that travels beside it in an op and never comes back.
 * Of another protocol (AH, IPComp) none is read.
 */
export type Sa = SaId & {
  readonly src: string;
  readonly reqid: number;
  /** 'other' is only read. Ops take 'transport'. */
  readonly mode: 'transport' | 'tunnel' | 'other';
  /** `rfc4106(gcm(aes))`, `rfc7539esp(chacha20,poly1305)`, with the length of the check value in bits. Absent: it uses none; ops need one. */
  readonly aead?: { readonly name: string; readonly icv: number };
  /** Sequence numbers of 64 bits. */
  readonly esn?: boolean;
  /** In packets, at most 4096. With `esn` not 0, unless `dir` is 'out', where it must be. */
  readonly replayWindow?: number;
  /** The one direction it is for (Linux 6.10; others ignore it). */
  readonly dir?: 'in' | 'out';
  readonly encap?: Encap;
  /**
   * Seconds without a packet after which the kernel sends an empty one, so that a NAT on the way keeps its mapping (RFC 3948,
   * 2.3). With `encap` and `dir` 'out' only. Since Linux 6.11; others ignore it.
   */
  readonly keepalive?: number;
  /** Reached: a Hint tells it expired, and it goes on. */
  readonly soft?: SaLimit;
  /** Reached: it is removed, and a Hint tells. */
  readonly hard?: SaLimit;
  /** Only read: it has more than this type can say (mark, selector, interface id, other algorithms), so it is nobody's we know. */
  readonly partial?: true;
  /** Only read. */
  readonly counters?: SaCounters;
};

/** Which packets: prefixes of one family, proto an IP protocol number (17 is UDP; absent: any), ports with their masks (default all bits). */
export type Selector = {
  readonly src: string;
  readonly dst: string;
  readonly proto?: number;
  readonly sport?: number;
  readonly sportMask?: number;
  readonly dport?: number;
  readonly dportMask?: number;
};

/** What names a policy. The kernel compares selectors byte by byte and keeps one per direction, whatever its priority. */
export type PolicyId = { readonly dir: 'in' | 'out' | 'fwd'; readonly selector: Selector };

/** `tmpl` of a policy: how a packet goes out, or must have come in. With `spi` just that SA will do. */
export type Tmpl = {
  readonly src: string;
  readonly dst: string;
  /** Ops take 'esp' and 'transport'. */
  readonly proto: 'esp' | 'ah' | 'comp' | 'other';
  readonly mode: 'transport' | 'tunnel' | 'other';
  readonly reqid: number;
  readonly spi?: number;
  /** Only read: `level use`, a packet may do without. */
  readonly optional?: true;
};

/** `ip xfrm policy`; the smaller priority goes first. Policies of single sockets are not read. */
export type Policy = PolicyId & {
  readonly priority: number;
  /** 'allow' without templates lets packets pass in the clear. */
  readonly action: 'allow' | 'block';
  readonly tmpls: readonly Tmpl[];
  /** Only read: it has more than this type can say (device, mark, interface id, limits), so it is nobody's we know. */
  readonly partial?: true;
};

/** A counter of packets IPsec refused in this namespace, by cause (/proc/net/xfrm_stat): `XfrmInNoStates`. A kernel that does not count has none. */
export type XfrmStat = { readonly name: string; readonly count: number };

/**
 * What names a virtual service: packets to an address and port, or of a family with a mark. A port of 0 is any, and wants
 * persistence. 'other' (SCTP) is only read. `ipvsadm -t|-u ADDRESS:PORT`, `ipvsadm -f MARK [-6]`.
 */
export type IpvsKey =
  | { readonly proto: 'tcp' | 'udp' | 'other'; readonly address: string; readonly port: number }
  | { readonly fwmark: number; readonly family: 4 | 6 };

/** How sh and mh choose; the three flags of other schedulers have numbers only. */
export type SchedFlag = 'sh-fallback' | 'sh-port' | 'mh-fallback' | 'mh-port' | 'flag-1' | 'flag-2' | 'flag-3';

/**
 * Connections, packets and bytes since it was added, as the kernel sums them up every two seconds; exact up to 2^53. With
 * direct routing it sees no answers but those of destinations that are its own addresses: out stays 0.
 */
export type IpvsStats = {
  readonly connections: number;
  readonly inPackets: number;
  readonly outPackets: number;
  readonly inBytes: number;
  readonly outBytes: number;
};

/**
 * A virtual service (`ipvsadm -L`). What an op does not give has its default; read, every setting is there, so that a wish
 * can name the default it wants.
 */
export type IpvsService = IpvsKey & {
  /** rr, wrr, lc, wlc, sh, mh, sed, nq, … */
  readonly scheduler: string;
  /** Default none. Read in the order of the type's words. */
  readonly schedFlags?: readonly SchedFlag[];
  /** Seconds for which a client keeps its destination, at most 2678400. Default 0: it does not. */
  readonly persistent?: number;
  /** Prefix length: how much of its address makes a client. Default all of it, 32 or 128. */
  readonly netmask?: number;
  /** Every packet by itself (`ipvsadm -o`): no connections, for UDP. Default false. */
  readonly ops?: boolean;
  /** Only read: it has more than this type can say (a persistence engine, a mask with holes), so it is nobody's we know. */
  readonly partial?: true;
  /** Only read. */
  readonly counters?: IpvsStats;
};

/** What names a destination. With port 0 (a marked service's) packets keep theirs. */
export type IpvsDestId = { readonly service: IpvsKey; readonly address: string; readonly port: number };

/** One destination of a virtual service (`ipvsadm -L`); defaults as with services. */
export type IpvsDest = IpvsDestId & {
  /**
   * 'route': as it is, to the destination's link address (`-g`); whatever its port says, packets keep theirs. 'masq': with
   * the destination's address and port (`-m`). 'tunnel': IP in IP (`-i`). 'other' is only read.
   */
  readonly method: 'route' | 'masq' | 'tunnel' | 'other';
  /** 0: no new connections, and old ones go on. */
  readonly weight: number;
  /** No new connections above `upper`, until there are fewer than `lower`. Default 0: no limit; 0 for `lower` is three quarters. */
  readonly upper?: number;
  readonly lower?: number;
  /** Only read: it has more than this type can say (another kind of tunnel), so it is nobody's we know. */
  readonly partial?: true;
  /** Only read. Active are established TCP connections, inactive all others; persistent are clients that keep it. */
  readonly counters?: IpvsStats & {
    readonly activeConnections: number;
    readonly inactiveConnections: number;
    readonly persistentConnections: number;
  };
};

/**
 * Seconds after which IPVS forgets a connection without packets, of the whole namespace: from 1 to 2678400. Read, 0 is of a
 * protocol the kernel does not balance. `ipvsadm -L --timeout`.
 */
export type IpvsTimeouts = { readonly tcp: number; readonly tcpFin: number; readonly udp: number };

/** An SA that has reached a limit: `hard`, it is gone; otherwise it goes on, and it is time for another (`ip xfrm monitor expire`). */
export type SaExpire = SaId & { readonly reqid: number; readonly hard: boolean };

/**
 * Under an SA of ESP in UDP came a packet from another address or port than it has (`ip xfrm monitor`): a NAT between has
 * moved. It is told with every packet until the SA is updated.
 */
export type SaMapping = SaId & { readonly reqid: number; readonly src: string; readonly sport: number };

/** One object as an event tells it: what the event does not say is absent, the link's name among it. */
export type News = {
  readonly [N in Watched]: {
    readonly noun: N;
    readonly item: Partial<NetnsState[N][number]>;
    /** It is not there any more, or is nothing a read would list (a permanent neighbour that ages, say). */
    readonly gone: boolean;
    /** What the link was called before. */
    readonly renamed?: string;
    /** Of another namespace, by the watched one's number for it: linkNetnsid of the link that leads there. */
    readonly nsid?: number;
  };
}[Watched];
type Watched = 'links' | 'addrs' | 'routes' | 'rules' | 'neighs' | 'fdb';

/**
 * What happened since the last hint, in order. `vague`: something else did (nft, SAs, policies, more than the socket could
 * hold): look again. What has expired is told, as no dump does; an overrun can lose it, then counters and limits tell.
 */
export type Hint = {
  readonly news: readonly News[];
  readonly expired: readonly SaExpire[];
  /** The latest of each SA. */
  readonly mapped: readonly SaMapping[];
  /** Where links lead to, by linkNetnsid: somebody else changed nft rules there. */
  readonly ruled: readonly number[];
  readonly vague: boolean;
};

/** Path below /proc/sys: `net/ipv4/ip_forward`. */
export type Sysctl = { readonly key: string; readonly value: string };

/** netdev: of single links, with hooks as packets come in and go out. */
export type NftTableId = { readonly family: 'inet' | 'netdev'; readonly name: string };

/** A whole table; text is its body exactly as `nft -s list table` prints it, so that reading it back compares equal. */
export type NftTable = NftTableId & { readonly text: string };

/**
 * Some elements of a set or map of such a table, each as nft writes it: `10.9.0.11 . 80`, in a map with its value,
 * `10.9.0.11 . 80 : 8080`. Single ones, no intervals.
 */
export type NftElements = {
  readonly family: NftTableId['family'];
  readonly table: string;
  readonly set: string;
  readonly elements: readonly string[];
};

/** One namespace, wholly or in part: wanted, or read. */
export type NetnsState = {
  readonly links: readonly Link[];
  readonly addrs: readonly Addr[];
  readonly routes: readonly Route[];
  readonly rules: readonly Rule[];
  readonly neighs: readonly Neigh[];
  readonly fdb: readonly Fdb[];
  readonly sas: readonly Sa[];
  readonly policies: readonly Policy[];
  /** Only read. */
  readonly xfrmStat: readonly XfrmStat[];
  readonly ipvs: readonly IpvsService[];
  readonly ipvsDests: readonly IpvsDest[];
  /** Read, it is one. */
  readonly ipvsTimeouts: readonly IpvsTimeouts[];
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
  /** Of a kernel without xfrm, reading sas or policies fails with EPROTONOSUPPORT. */
  readonly sas?: boolean;
  readonly policies?: boolean;
  readonly xfrmStat?: boolean;
  /** `ipvs`, `ipvsDests` and `ipvsTimeouts`, with what they count. Of a kernel without IPVS it fails with EPROTONOSUPPORT. */
  readonly ipvs?: boolean;
  /** `ipvsDests` of these services only; a service that is not there has none. */
  readonly ipvsDestsOf?: readonly IpvsKey[];
  readonly sysctls?: readonly string[];
  readonly nft?: readonly NftTableId[];
};
