import type { Secret } from '../model/secret.ts';
import type {
  Addr,
  Fdb,
  IpvsDest,
  IpvsDestId,
  IpvsKey,
  IpvsService,
  IpvsTimeouts,
  Link,
  Neigh,
  Netns,
  NftElements,
  NftTable,
  NftTableId,
  Policy,
  PolicyId,
  Route,
  Rule,
  Sa,
  SaId,
  Sysctl,
} from './state.ts';

/** What to do in one namespace. */
export type Visit = { readonly netns: Netns; readonly ops: readonly Op[] };

/**
 * One change to one namespace. Every `set` replaces: done twice it is as done once.
 * Every `add` fails with EEXIST when the name is taken. Every `del` of something absent succeeds.
 */
export type Op =
  /** `ip link add`; then up, master and port flags as the link asks. */
  | { readonly op: 'link.add'; readonly link: Link }
  /** `ip link set`; only the fields given. `rename` changes the name (the link must be down). */
  | { readonly op: 'link.set'; readonly link: Link; readonly rename?: string }
  | { readonly op: 'link.del'; readonly name: string }
  /** `ip link del group N`: one wait for the whole group. */
  | { readonly op: 'link.delgroup'; readonly group: number }
  | { readonly op: 'addr.set'; readonly addr: Addr }
  | { readonly op: 'addr.del'; readonly addr: Addr }
  | { readonly op: 'route.set'; readonly route: Route }
  | { readonly op: 'route.del'; readonly route: Route }
  | { readonly op: 'rule.set'; readonly rule: Rule }
  | { readonly op: 'rule.del'; readonly rule: Rule }
  | { readonly op: 'neigh.set'; readonly neigh: Neigh }
  | { readonly op: 'neigh.del'; readonly neigh: Neigh }
  | { readonly op: 'fdb.set'; readonly fdb: Fdb }
  | { readonly op: 'fdb.del'; readonly fdb: Fdb }
  /**
   * `ip xfrm state add`. The key is the cipher's with its salt: 36 bytes for AES-GCM-256 and for ChaCha20-Poly1305.
   * EPROTONOSUPPORT: the kernel has no ESP for this family; ENOSYS or ENOENT: it has no such algorithm.
   */
  | { readonly op: 'sa.add'; readonly sa: Sa; readonly key: Secret }
  /**
   * `ip xfrm state update`: limits and encap's ports become those given (encap neither comes nor goes), sequence numbers
   * and counters go on. The kernel checks all the rest, the key too, and forgets it. ESRCH: there is none.
   */
  | { readonly op: 'sa.update'; readonly sa: Sa; readonly key: Secret }
  | { readonly op: 'sa.del'; readonly sa: SaId }
  /** `ip xfrm policy add`. */
  | { readonly op: 'policy.add'; readonly policy: Policy }
  /** `ip xfrm policy update`: in one step, whether there is one or not, and whoever's it is. */
  | { readonly op: 'policy.set'; readonly policy: Policy }
  | { readonly op: 'policy.del'; readonly policy: PolicyId }
  /**
   * `ipvsadm -A …`, or `ipvsadm -E …` when there is one: in place, its destinations and connections stay.
   * EPROTONOSUPPORT: the kernel has no IPVS; ENOENT: it has no such scheduler.
   */
  | { readonly op: 'ipvs.set'; readonly service: IpvsService }
  /** `ipvsadm -D …`: with its destinations. */
  | { readonly op: 'ipvs.del'; readonly service: IpvsKey }
  /**
   * `ipvsadm -a …`, or `ipvsadm -e …` when there is one: in place, connections stay. ESRCH: there is no such service;
   * EINVAL: the address is not unicast, and none is before the namespace has one (lo must be up, or a link have one).
   */
  | { readonly op: 'ipvs.dest.set'; readonly dest: IpvsDest }
  /** `ipvsadm -d …`. What becomes of its connections is said by net.ipv4.vs.expire_nodest_conn. */
  | { readonly op: 'ipvs.dest.del'; readonly dest: IpvsDestId }
  /** `ipvsadm --set TCP TCPFIN UDP`. A connection gets the new ones with its next packet. EPROTONOSUPPORT: the kernel has no IPVS. */
  | { readonly op: 'ipvs.timeouts.set'; readonly timeouts: IpvsTimeouts }
  | { readonly op: 'sysctl.set'; readonly sysctl: Sysctl }
  /** Fails with libnftables' words and the line of the text that is wrong; the old table is whole then. */
  | { readonly op: 'nft.set'; readonly table: NftTable }
  | { readonly op: 'nft.del'; readonly family: NftTableId['family']; readonly name: string }
  /**
   * `nft add element`, in one transaction; a key of a map that has another value gets this one. ENOENT: there is no such
   * table or set.
   */
  | ({ readonly op: 'nft.element.set' } & NftElements)
  /** `nft delete element`, in one transaction, whatever value they have. */
  | ({ readonly op: 'nft.element.del' } & NftElements)
  /** Only in the host: `ip netns add NAME` / `ip netns del NAME`, below /run/netns. */
  | { readonly op: 'netns.add'; readonly name: string }
  | { readonly op: 'netns.del'; readonly name: string };
