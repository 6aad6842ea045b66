/* IPsec, as `ip xfrm` shows it. */

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

/** An SA that has reached a limit: `hard`, it is gone; otherwise it goes on, and it is time for another (`ip xfrm monitor expire`). */
export type SaExpire = SaId & { readonly reqid: number; readonly hard: boolean };

/**
 * Under an SA of ESP in UDP came a packet from another address or port than it has (`ip xfrm monitor`): a NAT between has
 * moved. It is told with every packet until the SA is updated.
 */
export type SaMapping = SaId & { readonly reqid: number; readonly src: string; readonly sport: number };
