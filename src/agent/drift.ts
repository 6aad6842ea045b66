import type { Kernel } from '../kernel/kernel.ts';
import type { Hint, News, Noun } from '../kernel/state.ts';
import type { Key } from '../plan/key.ts';
import { subjectOf } from '../plan/news.ts';
import type { Wanted } from './wanted.ts';

const nouns: readonly Noun[] = ['links', 'addrs', 'routes', 'neighs', 'fdb', 'nft'];
/** Changes come in several events, and an object is not as wanted between them. */
const settleMs = 15;
/** While we are changing things ourselves there is nothing to judge, but not for ever. */
const patience = 20;
/** A whole look costs: somebody who breaks things all the time gets one a second. */
const restMs = 1000;

type Suspect = { readonly news: News; judged: boolean };

/** One namespace that is listened to. */
type Watch = {
  readonly path: string;
  /** To look at when something happened and nobody can say what. */
  readonly key: Key;
  readonly stop: AbortController;
  /** The network's end of a veth pair, by the number its namespace has for the other end's. */
  readonly veths: Map<number, string>;
  /** The latest news of each object. */
  readonly suspects: Map<string, Suspect>;
  timer?: NodeJS.Timeout | undefined;
  waited: number;
};

/**
 * Listens to the kernel in the host's and the networks' namespaces and, through these, in those of the endpoints, and has a key
 * looked at when an object is not as wanted. An event costs one look into a map: our own changes are heard, too.
 */
export class Drift {
  readonly #kernel: Kernel;
  readonly #wanted: Wanted;
  readonly #busy: () => boolean;
  readonly #look: (key: Key, why: string) => void;
  readonly #onHost: (news: readonly News[]) => void;
  readonly #watches = new Map<string, Watch>();
  readonly #due = new Map<Key, NodeJS.Timeout>();
  readonly #looked = new Map<Key, number>();

  constructor(
    kernel: Kernel,
    wanted: Wanted,
    busy: () => boolean,
    look: (key: Key, why: string) => void,
    onHost: (news: readonly News[]) => void,
  ) {
    this.#onHost = onHost;
    this.#busy = busy;
    this.#kernel = kernel;
    this.#wanted = wanted;
    this.#look = look;
  }

  watch(path: string, key: Key): void {
    if (this.#watches.has(path)) return;
    const watch = { path, key, stop: new AbortController(), veths: new Map(), suspects: new Map(), waited: 0 };
    this.#watches.set(path, watch);
    void this.#listen(watch);
  }

  /** Ends the watches of all other namespaces: an open socket keeps a namespace alive. */
  keep(paths: ReadonlySet<string>): void {
    for (const [path, { stop, timer }] of this.#watches) {
      if (paths.has(path)) continue;
      stop.abort();
      clearTimeout(timer);
      this.#watches.delete(path);
    }
  }

  close(): void {
    this.keep(new Set());
    for (const timer of this.#due.values()) clearTimeout(timer);
  }

  async #listen(watch: Watch): Promise<void> {
    const { path, key, stop } = watch;
    try {
      for await (const hint of this.#kernel.watch({ path }, nouns, stop.signal)) this.#heard(watch, hint);
    } catch {
      this.#soon(key, `${path} cannot be watched`); // it went meanwhile, or the 30 s pass must do
    }
    if (this.#watches.get(path) === watch) this.#watches.delete(path);
  }

  #heard(watch: Watch, { news, ruled, vague }: Hint): void {
    if (watch.path === '') this.#onHost(news);
    if (vague) this.#soon(watch.key, `something happened in ${watch.path || 'the host'}`);
    for (const each of news) {
      const { noun, item, nsid } = each;
      if (noun === 'links' && nsid === undefined && item.kind === 'veth' && item.linkNetnsid !== undefined && item.name)
        watch.veths.set(item.linkNetnsid, item.name);
      const what = `${nsid ?? ''} ${subjectOf(each)} ${'dev' in item ? item.dev : ''}`;
      const before = watch.suspects.get(what)?.news;
      // What a bridge says of a port is not all of the link.
      if (noun === 'links' && each.renamed !== undefined) watch.suspects.delete(`${nsid ?? ''} links ${each.renamed} `);
      const partly = noun === 'links' && item.kind === undefined && before?.noun === 'links';
      const latest = partly ? { ...each, item: { ...before.item, ...item } } : each;
      watch.suspects.set(what, { news: latest, judged: false });
    }
    for (const nsid of ruled) {
      const path = this.#wanted.behind(watch.path, watch.veths.get(nsid) ?? '');
      const key = path && this.#wanted.rules(path);
      if (key) this.#soon(key, `nft rules in ${path} are others`);
    }
    if (watch.suspects.size > 0) watch.timer ??= setTimeout(() => this.#judge(watch), settleMs);
  }

  /** What is not as wanted twice in a row is looked at: in between, our own change may have been under way. */
  #judge(watch: Watch): void {
    watch.timer = undefined;
    if (this.#busy() && watch.waited++ < patience) {
      watch.timer = setTimeout(() => this.#judge(watch), settleMs);
      return;
    }
    watch.waited = 0;
    const looks = new Map<Key, string>();
    for (const [what, suspect] of watch.suspects) {
      const { news, judged } = suspect;
      const path = this.#whence(watch, news);
      const key = path === undefined ? undefined : this.#wanted.judge(path, news);
      if (key === undefined || judged) watch.suspects.delete(what);
      if (key === undefined) continue;
      if (judged && !looks.has(key))
        looks.set(key, `${subjectOf(news)} in ${path || 'the host'} is ${news.gone ? 'gone' : 'another'}`);
      suspect.judged = true;
    }
    for (const [key, why] of looks) this.#soon(key, why);
    if (watch.suspects.size > 0) watch.timer = setTimeout(() => this.#judge(watch), settleMs);
  }

  #whence({ path, veths }: Watch, { nsid }: News): string | undefined {
    return nsid === undefined ? path : this.#wanted.behind(path, veths.get(nsid) ?? '');
  }

  #soon(key: Key, why: string): void {
    if (this.#due.has(key)) return;
    const rest = (this.#looked.get(key) ?? 0) + restMs - Date.now();
    const look = () => {
      this.#due.delete(key);
      this.#looked.set(key, Date.now());
      this.#look(key, why);
    };
    if (rest <= 0) look();
    else this.#due.set(key, setTimeout(look, rest));
  }
}
