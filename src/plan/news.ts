import type { NetnsState, News } from '../kernel/state.ts';

type Watched = News['noun'];

/** What an object is called within one namespace, but for its link: an event does not always know that. */
export const nameOf: { readonly [N in Watched]: (item: NetnsState[N][number]) => string } = {
  links: (link) => link.name,
  addrs: (addr) => addr.address,
  routes: ({ dst, type, table = type ? 255 : 254, protocol }) => `${type ?? 'unicast'} ${dst} ${table} ${protocol}`,
  // All of it: the kernel has no replace for rules, so that another one is one more.
  rules: ({ family, priority, table, fwmark, from }) => `${family} ${priority} ${table} ${fwmark} ${from}`,
  neighs: (neigh) => neigh.dst,
  fdb: ({ via, lladdr }) => `${via} ${lladdr}`,
};

export function subjectOf({ noun, item }: News): string {
  return `${noun} ${(nameOf[noun] as (item: object) => string)(item)}`;
}
