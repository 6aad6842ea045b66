import { statSync } from 'node:fs';
import type { Kernel } from '../kernel/kernel.ts';
import type { NetworkId } from '../model/id.ts';
import { gatewayOf, type Ip } from '../model/ip.ts';
import type { View } from '../model/view.ts';
import { netnsOf } from '../plan/names.ts';
import { Listener, type Respond } from './listener.ts';

/** Where a network is, on this node. */
type Place = { readonly path: string; readonly inode: number; readonly addresses: readonly Ip[] };
type Served = { readonly place: Place; readonly listeners: ReadonlyMap<Ip, Listener>; trouble?: string | undefined };

/** Until everything is open, the next try comes so soon: a namespace is there before it can be entered. */
const firstRetryMs = 2;
const lastRetryMs = 100;

/**
 * Listens at the gateway addresses of every network that has a namespace here, inside it. An open socket keeps a namespace
 * alive that the agent has removed, so none outlasts it.
 */
export class Server {
  readonly #kernel: Kernel;
  readonly #respond: (network: NetworkId) => Respond;
  readonly #changed: () => void;
  readonly #served = new Map<NetworkId, Served>();
  #view: View | undefined;
  #retry: NodeJS.Timeout | undefined;
  #retryMs = firstRetryMs;
  #opening = false;
  #closed = false;

  /** `changed`: another set of networks is served, or what keeps one from it is another. */
  constructor(kernel: Kernel, respond: (network: NetworkId) => Respond, changed: () => void) {
    this.#kernel = kernel;
    this.#respond = respond;
    this.#changed = changed;
  }

  get serving(): NetworkId[] {
    return [...this.#served].filter(([, served]) => isComplete(served)).map(([id]) => id);
  }

  /** Why not all of them are. */
  get trouble(): string | undefined {
    return [...this.#served.values()].find(({ trouble }) => trouble !== undefined)?.trouble;
  }

  /** Addresses at which this process itself answers. */
  get addresses(): ReadonlySet<string> {
    return new Set([...this.#served.values()].flatMap(({ place }) => [...place.addresses]));
  }

  /** Looks at what is there now. */
  update(view: View | undefined = this.#view): void {
    this.#view = view;
    if (!view || this.#closed) return;
    let changed = false;
    const places = placesIn(view);
    for (const [id, served] of this.#served) {
      const place = places.get(id);
      if (place && same(place, served.place)) continue;
      for (const listener of served.listeners.values()) listener.close();
      this.#served.delete(id);
      changed = true;
    }
    for (const [id, place] of places) {
      if (this.#served.has(id)) continue;
      const listeners = new Map(place.addresses.map((address) => [address, new Listener(this.#respond(id))]));
      this.#served.set(id, { place, listeners });
      this.#retryMs = firstRetryMs;
    }
    if (changed) this.#changed();
    void this.#open();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#retry);
    for (const { listeners } of this.#served.values()) for (const listener of listeners.values()) listener.close();
    this.#served.clear();
  }

  /** What is not open yet; again and again until it is. */
  async #open(): Promise<void> {
    if (this.#opening || this.#closed) return;
    this.#opening = true;
    clearTimeout(this.#retry);
    for (const [id, served] of this.#served) if (!isComplete(served)) await this.#openOne(id, served);
    this.#opening = false;
    if (this.#closed || [...this.#served.values()].every(isComplete)) return;
    this.#retry = setTimeout(() => this.update(), this.#retryMs);
    this.#retryMs = Math.min(this.#retryMs * 2, lastRetryMs);
  }

  async #openOne(id: NetworkId, served: Served): Promise<void> {
    const before = served.trouble;
    try {
      for (const [address, listener] of served.listeners)
        await listener.open(this.#kernel, { path: served.place.path }, address);
      served.trouble = undefined;
    } catch (error) {
      served.trouble = (error as Error).message;
    }
    if (this.#served.get(id) === served && (isComplete(served) || served.trouble !== before)) this.#changed();
  }
}

function isComplete({ listeners }: Served): boolean {
  return [...listeners.values()].every(({ complete }) => complete);
}

function placesIn({ followed }: View): Map<NetworkId, Place> {
  const places = new Map<NetworkId, Place>();
  for (const [id, { network }] of followed) {
    const { path } = netnsOf(network.vni);
    const inode = statSync(path, { throwIfNoEntry: false })?.ino;
    if (inode !== undefined) places.set(id, { path, inode, addresses: network.subnets.map(gatewayOf) });
  }
  return places;
}

function same(a: Place, b: Place): boolean {
  return a.path === b.path && a.inode === b.inode && a.addresses.join() === b.addresses.join();
}
