import type { Link, NetnsState, News } from '../kernel/state.ts';
import type { NetworkId } from '../model/id.ts';
import { covers } from '../plan/diff.ts';
import type { Key } from '../plan/key.ts';
import { partsOf } from '../plan/key.ts';
import { isOurs, placeOf } from '../plan/names.ts';
import { nameOf, subjectOf } from '../plan/news.ts';
import type { Scope } from '../plan/scope.ts';

type Item = { readonly dev?: string };
type Entry = { readonly item: Item; readonly look: Key };

/**
 * What was last applied, by the key it was applied for, and object by object: so that an event of the kernel can be told to be
 * our own doing, nobody's business, or something to look at, without reading the kernel. Only ever a shortcut: the 30 s pass
 * needs none of it.
 */
export class Wanted {
  readonly #scopes = new Map<Key, Scope>();
  /** Path of a namespace, then `links br0`; rarely more than one of the same (`fe80::1/64` on several links). */
  readonly #objects = new Map<string, Map<string, readonly Entry[]>>();
  readonly #networks = new Map<NetworkId, Set<Key>>();

  get(key: Key): Scope | undefined {
    return this.#scopes.get(key);
  }

  /** Of every service of a network. */
  services(network: NetworkId): Scope[] {
    const keys = [...(this.#networks.get(network) ?? [])].filter((key) => partsOf(key).service !== undefined);
    return keys.flatMap((key) => this.#scopes.get(key) ?? []);
  }

  put(key: Key, scope: Scope): void {
    this.drop(key);
    this.#scopes.set(key, scope);
    const { network } = partsOf(key);
    if (network) this.#networks.set(network, (this.#networks.get(network) ?? new Set<Key>()).add(key));
    // An object that is not as it should be is a matter for the pass that reads it.
    const look = network ?? 'node';
    this.#each(scope, (objects, name, item) => {
      objects.set(name, [...(objects.get(name) ?? []), { item, look }]);
    });
  }

  drop(key: Key): void {
    const scope = this.#scopes.get(key);
    if (!scope) return;
    this.#scopes.delete(key);
    const { network } = partsOf(key);
    if (network) this.#networks.get(network)?.delete(key);
    this.#each(scope, (objects, name, item) => {
      const rest = (objects.get(name) ?? []).filter((entry) => entry.item !== item);
      if (rest.length > 0) objects.set(name, rest);
      else objects.delete(name);
    });
    for (const { netns } of scope.wishes)
      if (this.#objects.get(netns.path)?.size === 0) this.#objects.delete(netns.path);
  }

  /** All of a network. */
  dropNetwork(id: NetworkId): void {
    for (const key of [...(this.#networks.get(id) ?? [])]) this.drop(key);
    this.#networks.delete(id);
  }

  /** What to look at because of news from a namespace; undefined: nothing, it is as it should be, or not ours. */
  judge(path: string, news: News): Key | undefined {
    const { dev } = news.item as Item;
    const entries = this.#objects.get(path)?.get(subjectOf(news)) ?? [];
    const meant = entries.filter(({ item }) => dev === undefined || item.dev === undefined || item.dev === dev);
    const denied = meant.find(({ item }) => news.gone || !agrees(news.item, item));
    if (denied) return denied.look;
    if (meant.length > 0 || news.gone || !marked(path, news)) return undefined;
    // Ours by its mark, and nobody wants it: whoever has the namespace's bridge.
    return this.#objects.get(path)?.get('links br0')?.[0]?.look;
  }

  /** What to look at because nft rules there have changed; undefined: nothing, as none are ours. */
  rules(path: string): Key | undefined {
    return this.#objects.get(path)?.get(rules)?.[0]?.look;
  }

  /** The namespace a veth pair of a network leads to. */
  behind(path: string, link: string): string | undefined {
    const entry = this.#objects.get(path)?.get(`links ${link}`)?.[0];
    return (entry?.item as Link | undefined)?.veth?.peer.netns.path;
  }

  #each(scope: Scope, visit: (objects: Map<string, readonly Entry[]>, name: string, item: Item) => void): void {
    for (const { netns, state } of scope.wishes) {
      const objects = this.#objects.get(netns.path) ?? new Map<string, readonly Entry[]>();
      this.#objects.set(netns.path, objects);
      for (const [noun, name] of Object.entries(nameOf)) {
        for (const item of state[noun as News['noun']] as readonly Item[])
          visit(objects, `${noun} ${(name as (item: Item) => string)(item)}`, item);
      }
      const [table] = state.nft;
      if (table) visit(objects, rules, table as Item);
    }
  }
}

/** Of a namespace's rules nothing is told but that they have changed. */
const rules = 'nft';

/** An event does not say everything, and some of what is wanted is only how an object is born. */
const unsaid: readonly string[] = ['veth', 'nodad'];

function agrees(item: object, want: object): boolean {
  return Object.entries(want).every(
    ([field, value]) => unsaid.includes(field) || !(field in item) || covers(item[field as never], value, []),
  );
}

function marked(path: string, { noun, item }: News): boolean {
  const place = placeOf({ path });
  if (place !== 'network') return false;
  if (noun === 'links') return isOurs.link(item as Link, place);
  if (noun === 'routes') return isOurs.route(item as NetnsState['routes'][number]);
  if (noun === 'rules') return isOurs.rule(item as NetnsState['rules'][number]);
  if (noun === 'neighs') return isOurs.neigh(item as NetnsState['neighs'][number]);
  return noun === 'fdb' && isOurs.fdb(item as NetnsState['fdb'][number]);
}
