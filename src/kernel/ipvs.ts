/* Balancing, as ipvsadm(8) shows it. */

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
