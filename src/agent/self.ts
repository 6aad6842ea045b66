import type { Kernel } from '../kernel/kernel.ts';
import type { News } from '../kernel/state.ts';
import type { Facts, Node } from '../model/node.ts';
import type { Mirror } from '../store/mirror.ts';
import type { ViewChange } from '../store/replica.ts';
import type { Store } from '../store/store.ts';
import { type Config, moveConfig } from './config.ts';
import type { Encryption } from './encryption.ts';
import { gatherFacts } from './facts.ts';
import type { Log } from './log.ts';
import { type Place, placeNow } from './place.ts';

const retryMs = 1000;

export type SelfDeps = {
  readonly kernel: Kernel;
  readonly store: Store;
  readonly mirror: Mirror;
  readonly encryption: Encryption;
  readonly config: Config;
  readonly configPath: string;
  readonly log: Log;
  /** It has another address than it had. */
  readonly moved: (place: Place) => void;
};

/** What this host is and where, as its kernel says, and that the others know it. */
export class Self {
  readonly #deps: SelfDeps;
  #config: Config;
  #place: Place | undefined;
  #node: Node | undefined;
  /** The link that its address is on. */
  #uplink = '';
  #telling = false;
  #again = false;
  #retry: NodeJS.Timeout | undefined;
  #trouble: string | undefined;
  #stopped = false;

  constructor(deps: SelfDeps) {
    this.#deps = deps;
    this.#config = deps.config;
  }

  /** This node as the store knows it; undefined until it has been reached. */
  get node(): Node | undefined {
    return this.#node;
  }

  /** Why the others cannot be told what it is. */
  get trouble(): string | undefined {
    return this.#trouble;
  }

  get place(): Place {
    return this.#place ?? this.#look();
  }

  /** What the others are to know of it. */
  async facts(): Promise<Facts> {
    const { kernel, encryption } = this.#deps;
    const { facts, dev } = await gatherFacts(kernel, this.#look());
    this.#uplink = dev;
    return { ...facts, ...encryption.facts };
  }

  started(node: Node): void {
    this.#node = node;
  }

  /** News of the host's own namespace: what it is may be different, or it has an address again. */
  heard(news: readonly News[]): void {
    const concerns = ({ noun, item }: News) =>
      noun === 'links' ? item.name === this.#uplink : noun === 'addrs' && item.dev === this.#uplink;
    if (this.#node && news.some(concerns)) this.tell();
  }

  /** What the store says of this host may have been written by somebody else: workers share the key of all records. */
  told({ change }: ViewChange): void {
    if (change?.kind === 'node' && change.value && change.id === this.#node?.id) this.tell();
  }

  /** What the others know of this host stays true: members of its networks follow its MTU, and its address. */
  tell(): void {
    this.#again = this.#telling;
    if (this.#telling) return;
    this.#telling = true;
    clearTimeout(this.#retry);
    void this.#tell()
      .then(
        () => {
          this.#trouble = undefined;
        },
        (error) => this.#failed(error),
      )
      .finally(() => {
        this.#telling = false;
        if (this.#again) this.tell();
      });
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#retry);
  }

  async #tell(): Promise<void> {
    const { store, mirror, log } = this.#deps;
    const facts = await this.facts();
    const self = this.#node;
    if (!self || this.#stopped) return;
    const known = mirror.view?.nodes.get(self.id) ?? self;
    const wish = { ...known, ...facts };
    if (JSON.stringify(wish) === JSON.stringify(known)) return;
    this.#node = await store.nodeRefresh(self.id, self.epoch, wish);
    const { underlay: address, underlayMtu: mtu, routes } = facts;
    log.info('this host has changed', { address, mtu, routes: routes.length });
    await mirror.refresh('');
  }

  #failed({ message, hint }: Error & { hint?: string }): void {
    const trouble = `what this host is cannot be told to the others: ${message}`;
    if (trouble !== this.#trouble) this.#deps.log.warn(trouble, { hint });
    this.#trouble = trouble;
    if (!this.#stopped) this.#retry = setTimeout(() => this.tell(), retryMs);
  }

  /** Where it is now; a move is written down before anybody is told. */
  #look(): Place {
    const { configPath, log, moved, store } = this.#deps;
    const place = placeNow(this.#config);
    const { underlay, local } = place;
    this.#place = place;
    const { advertise: before } = this.#config;
    if (before === underlay && (this.#config.local ?? before) === local) return place;
    log.info('this host has another address', { before: this.#config.local ?? before, now: local });
    this.#config = { ...this.#config, ...moveConfig(configPath, place) };
    // What is open has the old one, and no answer would come there. With the next connection all pairs are looked at.
    store.reconnect();
    moved(place);
    return place;
  }
}
