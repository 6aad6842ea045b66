import type { IpvsDest, IpvsKey, IpvsService, IpvsTimeouts } from './ipvs.ts';
import type { NftTable, NftTableId } from './nft.ts';
import type { Addr, Fdb, Link, Neigh, Route, Rule } from './rtnl.ts';
import type { Policy, Sa, SaExpire, SaMapping, XfrmStat } from './xfrm.ts';

export type * from './ipvs.ts';
export * from './netns.ts';
export type * from './nft.ts';
export type * from './rtnl.ts';
export type * from './xfrm.ts';

/**
 * What a network namespace holds, in iproute2's words. Plain data: no handles, no ifindexes, no netlink numbers.
 * In wanted state an absent field means "do not care"; in state read from the kernel it means "has none".
 */

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
