import type { Op } from '../kernel/op.ts';
import type { Netns, NetnsState } from '../kernel/state.ts';

/** One namespace and what we want in it. Nouns left empty are wanted empty, as far as they carry our mark. */
export type Wish = { readonly netns: Netns; readonly state: NetnsState };

/** A part of this node's kernel: wanted, or found there. */
export type Scope = {
  /** Namespaces of ours, by name, that exist. */
  readonly namespaces: readonly string[];
  readonly wishes: readonly Wish[];
};

/** One change to one namespace. */
export type Step = { readonly netns: Netns; readonly op: Op };

export const nothing: NetnsState = {
  links: [],
  addrs: [],
  routes: [],
  rules: [],
  neighs: [],
  fdb: [],
  sas: [],
  policies: [],
  xfrmStat: [],
  ipvs: [],
  ipvsDests: [],
  ipvsTimeouts: [],
  sysctls: [],
  nft: [],
};

/** Several partial scopes as one: states of the same namespace are joined. */
export function merge(scopes: readonly Scope[]): Scope {
  const wishes = new Map<string, { netns: Netns; state: { [Noun in keyof NetnsState]: NetnsState[Noun][number][] } }>();
  const namespaces = new Set<string>();
  for (const scope of scopes) {
    for (const name of scope.namespaces) namespaces.add(name);
    for (const { netns, state } of scope.wishes) {
      const found = wishes.get(netns.path);
      if (!found) {
        const copy = Object.fromEntries(Object.entries(state).map(([noun, list]) => [noun, [...list]]));
        wishes.set(netns.path, { netns, state: copy as never });
        continue;
      }
      for (const noun of Object.keys(state) as (keyof NetnsState)[]) {
        for (const item of state[noun]) found.state[noun].push(item as never);
      }
    }
  }
  return { namespaces: [...namespaces], wishes: [...wishes.values()] };
}
