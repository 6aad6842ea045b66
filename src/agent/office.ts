import { existsSync } from 'node:fs';
import { WarrenError } from '../model/error.ts';
import type { NodeId } from '../model/id.ts';
import type { Node } from '../model/node.ts';
import type { View } from '../model/view.ts';
import type { Store } from '../store/store.ts';
import { Admission } from './admission.ts';
import type { Config, Paths } from './config.ts';
import { JoinApi } from './join-api.ts';
import type { Log } from './log.ts';
import { watchManagedStore } from './managed-store.ts';
import { pkiPaths, readCa } from './pki-files.ts';
import type { Place } from './place.ts';
import { Renewal } from './renewal.ts';

const retryMs = 2000;

/**
 * What a host does for its cluster's membership besides its own part in it: managers let others join, the one with the
 * store keeps it running, and every host keeps its certificate young.
 */
export class Office {
  readonly #pki;
  readonly #config: Config;
  readonly #store: Store;
  readonly #log: Log;
  readonly #nodes: () => Iterable<Node>;
  readonly #renewal: Renewal | undefined;
  readonly #admission: Admission | undefined;
  readonly #unwatchStore: (() => void) | undefined;
  #api: JoinApi | undefined;
  #place: Place | undefined;
  /** Why it does not listen for hosts that want to join, once it is said. */
  #refused: string | undefined;
  #retry: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(config: Config, paths: Paths, store: Store, view: () => View | undefined, log: Log) {
    this.#pki = pkiPaths(paths.stateDir);
    this.#config = config;
    this.#store = store;
    this.#log = log;
    this.#nodes = () => view()?.nodes.values() ?? [];
    const ca = config.role === 'manager' ? readCa(this.#pki) : undefined;
    if (config.managedStore) this.#unwatchStore = watchManagedStore(paths, log);
    if (existsSync(this.#pki.certificate))
      this.#renewal = new Renewal(paths.stateDir, config, this.#nodes, () => this.#renewed(), log);
    if (ca) this.#admission = new Admission(ca, store, config, () => known(view()), log);
  }

  /** A certificate that expired while this host was off first: without it there is no store. */
  async open(place: Place): Promise<void> {
    this.#place = place;
    const renewing = this.#renewal?.look(place);
    if (this.#renewal?.expired) await renewing;
    await this.#listen();
  }

  /** What one pass without a daemon needs before there is a store: a certificate that counts. */
  async prepare(place: Place): Promise<void> {
    await this.#renewal?.look(place);
  }

  /** This host has another address. Before it is open that changes nothing. */
  moved(place: Place): void {
    if (!this.#place) return;
    this.#api?.close();
    clearTimeout(this.#retry);
    void this.open(place);
  }

  stop(): void {
    this.#closed = true;
    clearTimeout(this.#retry);
    this.#renewal?.stop();
    this.#unwatchStore?.();
    this.#api?.close();
  }

  /** Throws where this host may let nobody in. */
  get admission(): Admission {
    if (this.#admission) return this.#admission;
    throw new WarrenError(
      'not_a_manager',
      'this host has not the key of the cluster’s CA: only managers make join tokens',
      'ask one: warren node ls shows them',
    );
  }

  /** Users of the store, made by an older version, may do what this one's may. */
  async regrant(): Promise<void> {
    if (!this.#config.storeUsers || this.#config.role !== 'manager') return;
    const workers = [...this.#nodes()].filter(({ role }) => role === 'worker');
    await this.#store.usersRegrant(workers.map(({ id }) => id));
  }

  /** A host that was removed may use the store no more. */
  async removed(node: NodeId): Promise<void> {
    if (this.#config.storeUsers && this.#config.role === 'manager') await this.#store.userRevoke(node);
  }

  async #listen(): Promise<void> {
    const address = this.#place?.local;
    if (!this.#admission || this.#closed || !address) return;
    try {
      const api = await JoinApi.listen(address, this.#pki, this.#admission.routes, this.#log);
      if (this.#closed || this.#place?.local !== address) return api.close();
      this.#api = api;
      this.#refused = undefined;
    } catch (error) {
      const { message } = error as Error;
      if (message !== this.#refused) this.#log.warn('nobody can join by this host', { error: message });
      this.#refused = message;
      this.#retry = setTimeout(() => void this.#listen(), retryMs);
    }
  }

  #renewed(): void {
    this.#api?.reload(this.#pki);
    if (!this.#config.managedStore) return;
    this.#store
      .tlsReload(this.#pki.certificate, this.#pki.key)
      .catch((error) => this.#log.warn('the store keeps its old certificate', { error: error.message }));
  }
}

function known(view: View | undefined): View {
  if (view) return view;
  throw new WarrenError('store_unreachable', 'this manager has not reached the store yet', 'try again');
}
