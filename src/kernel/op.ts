import type { Addr, Fdb, Link, Neigh, NftTable, Route, Rule, Sysctl } from './state.ts';

/**
 * One change to one namespace. Every `set` replaces: done twice it is as done once.
 * `link.add` fails with EEXIST when the name is taken. Every `del` of something absent succeeds.
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
  | { readonly op: 'sysctl.set'; readonly sysctl: Sysctl }
  | { readonly op: 'nft.set'; readonly table: NftTable }
  | { readonly op: 'nft.del'; readonly family: 'inet'; readonly name: string }
  /** Only in the host: `ip netns add NAME` / `ip netns del NAME`, below /run/netns. */
  | { readonly op: 'netns.add'; readonly name: string }
  | { readonly op: 'netns.del'; readonly name: string };
