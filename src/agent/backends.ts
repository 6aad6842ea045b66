import { setTimeout as sleep } from 'node:timers/promises';
import type { Kernel } from '../kernel/kernel.ts';
import type { Endpoint } from '../model/endpoint.ts';
import type { EndpointId, NetworkId } from '../model/id.ts';
import type { Node } from '../model/node.ts';
import type { Service } from '../model/service.ts';
import { endpointNetns } from '../plan/desired/endpoint.ts';
import type { Mirror } from '../store/mirror.ts';
import type { Serving, Store } from '../store/store.ts';
import { check } from './check.ts';
import type { Log } from './log.ts';

/** A server that has just started should not wait for its first connections. */
const firstPauseMs = 100;
/** How often the connections of a backend that drains are counted. */
const countMs = 200;
/** None for so long: everybody has heard that it drains, and nobody has come since. */
const quietMs = 1000;

type Watched = { readonly spec: string; readonly stop: AbortController };
type Found = { endpoint: Endpoint; service: Service };

/**
 * The backends that live here. Whether one serves is checked by its own node, and told to all when that changes; one that
 * drains is watched until its last connection has ended or its time is over, and then is a backend no more.
 *
 *   starting ──check──► healthy ⇄ unhealthy        draining ──no connection, or time──► none
 */
export class Backends {
  readonly #kernel: Kernel;
  readonly #store: Store;
  readonly #mirror: Mirror;
  readonly #log: Log;
  readonly #self: () => Node;
  readonly #watched = new Map<EndpointId, Watched>();

  constructor(kernel: Kernel, store: Store, mirror: Mirror, log: Log, self: () => Node) {
    this.#kernel = kernel;
    this.#store = store;
    this.#mirror = mirror;
    this.#log = log;
    this.#self = self;
  }

  /** Looks at all of a network's, or at all there are. */
  lookAll(network?: NetworkId): void {
    const here = new Set<EndpointId>();
    for (const [id, { endpoints }] of this.#mirror.view?.followed ?? []) {
      for (const endpoint of endpoints.values()) {
        here.add(endpoint.id);
        if (network === undefined || network === id) this.look(id, endpoint.id);
      }
    }
    for (const id of this.#watched.keys()) if (!here.has(id)) this.#end(id);
  }

  /** One endpoint has changed, has come or has gone. */
  look(network: NetworkId, id: EndpointId): void {
    const found = this.#find(network, id);
    const draining = found?.endpoint.state === 'draining';
    const checked = found?.endpoint.state === 'ready' && found.service.health.check !== 'none';
    if (!found || !(draining || checked)) {
      this.#end(id);
      return;
    }
    const { endpoint, service } = found;
    // What it found out itself is no reason to begin again.
    const { healthy: _, ...backend } = endpoint.backend ?? { healthy: true };
    const spec = JSON.stringify([draining, draining ? backend : service.health, service.ports, endpoint.born]);
    if (this.#watched.get(id)?.spec === spec) return;
    this.#end(id);
    const stop = new AbortController();
    this.#watched.set(id, { spec, stop });
    const work = draining ? this.#drain(network, id, stop.signal) : this.#check(network, id, stop.signal);
    work.catch((error: Error) => {
      if (!stop.signal.aborted) this.#log.warn('a backend is not watched', { endpoint: id, error: error.message });
    });
  }

  stop(): void {
    for (const id of [...this.#watched.keys()]) this.#end(id);
  }

  #end(id: EndpointId): void {
    this.#watched.get(id)?.stop.abort();
    this.#watched.delete(id);
  }

  #find(network: NetworkId, id: EndpointId): Found | undefined {
    const followed = this.#mirror.view?.followed.get(network);
    const endpoint = followed?.endpoints.get(id);
    const service = endpoint?.backend && followed?.services.get(endpoint.backend.service);
    return endpoint && service && endpoint.node === this.#self().id ? { endpoint, service } : undefined;
  }

  async #check(network: NetworkId, id: EndpointId, signal: AbortSignal): Promise<void> {
    const began = Date.now();
    let failures = 0;
    let everHealthy = false;
    for (;;) {
      const asked = this.#find(network, id);
      if (!asked) return;
      const { service } = asked;
      const { interval, retries, startPeriod } = service.health;
      const serves = await check(this.#kernel, service, asked.endpoint, signal);
      if (signal.aborted) return;
      const { backend } = this.#find(network, id)?.endpoint ?? {};
      if (!backend) return;
      everHealthy ||= serves;
      if (serves) failures = 0;
      else if (everHealthy || backend.healthy || Date.now() - began >= startPeriod) failures++;
      const healthy = serves || (backend.healthy && failures < retries);
      if (healthy !== backend.healthy) {
        this.#log.info(healthy ? 'backend serves' : 'backend does not serve', { endpoint: id, service: service.name });
        await this.#tell(network, id, { expect: service.id, backend: { ...backend, healthy } });
      }
      const pause = healthy ? interval : Math.min(interval, firstPauseMs * (failures + 1));
      await sleep(pause, undefined, { signal, ref: false });
    }
  }

  async #drain(network: NetworkId, id: EndpointId, signal: AbortSignal): Promise<void> {
    const began = Date.now();
    let quietSince = began;
    for (;;) {
      await sleep(countMs, undefined, { signal, ref: false });
      const found = this.#find(network, id);
      if (!found) return;
      const { endpoint, service } = found;
      const targets = service.ports.filter(({ proto }) => proto === 'tcp').map(({ target }) => target);
      const counts = await Promise.all(
        [...new Set(targets)].map((port) => this.#kernel.connections(endpointNetns(endpoint), port)),
      ).catch(() => [0]); // its namespace has ended, and its connections with it
      const now = Date.now();
      if (counts.some((count) => count > 0)) quietSince = now;
      const over = now - began >= (endpoint.backend?.grace ?? 0);
      if (now - quietSince < quietMs && !over) continue;
      this.#log.info('backend has drained', { endpoint: endpoint.name, service: service.name, ms: now - began });
      await this.#tell(network, id, { expect: service.id, backend: null, state: 'ready' });
    }
  }

  /** While the store does not answer nobody can be told; the next round says it again. */
  async #tell(network: NetworkId, id: EndpointId, serving: Serving): Promise<void> {
    try {
      await this.#store.endpointServe(network, id, { ...serving, epoch: this.#self().epoch });
    } catch (error) {
      this.#log.warn('what a backend does cannot be told', { endpoint: id, error: (error as Error).message });
    }
  }
}
