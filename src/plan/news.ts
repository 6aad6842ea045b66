import type { NetnsState, News } from '../kernel/state.ts';

type Watched = News['noun'];

/** What an object is called within one namespace, but for its link: an event does not always know that. */
export const nameOf: { readonly [N in Watched]: (item: NetnsState[N][number]) => string } = {
  links: (link) => link.name,
  addrs: (addr) => addr.address,
  routes: ({ dst, table = 254, protocol }) => `${dst} ${table} ${protocol}`,
  rules: ({ family, priority }) => `${family} ${priority}`,
  neighs: (neigh) => neigh.dst,
  fdb: ({ via, lladdr }) => `${via} ${lladdr}`,
};

export function subjectOf({ noun, item }: News): string {
  return `${noun} ${(nameOf[noun] as (item: object) => string)(item)}`;
}
