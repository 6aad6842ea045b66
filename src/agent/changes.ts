import type { Endpoint } from '../model/endpoint.ts';
import type { NetworkId, NodeId } from '../model/id.ts';
import type { Network } from '../model/network.ts';
import type { Node } from '../model/node.ts';
import type { View } from '../model/view.ts';
import { hasIngress } from '../plan/desired/ingress.ts';
import type { Key, PartKey } from '../plan/key.ts';
import { keysOfEndpoint, keysOfService, serviceKey } from '../plan/key.ts';
import type { Mirror } from '../store/mirror.ts';
import type { ViewChange } from '../store/replica.ts';
import type { Backends } from './backends.ts';
import type { Encryption } from './encryption.ts';
import type { Log } from './log.ts';
import type { Membership } from './membership.ts';
import type { Queue } from './queue.ts';
import type { Reconciler } from './reconcile.ts';

export type ChangesDeps = {
  readonly mirror: Mirror;
  readonly queue: Queue;
  readonly reconciler: Reconciler;
  readonly membership: Membership;
  readonly encryption: Encryption;
  readonly backends: Backends;
  readonly log: Log;
  readonly self: () => Node;
};

/**
 * What there is to do because something in the view is different. One endpoint's change costs one endpoint's work; a change to
 * a node or network concerns whole networks.
 */
export class Changes {
  readonly #deps: ChangesDeps;

  constructor(deps: ChangesDeps) {
    this.#deps = deps;
  }

  /** Everything there is, and what is still in the kernel. */
  keys(): Key[] {
    const { mirror, reconciler } = this.#deps;
    return ['node', ...new Set([...(mirror.view?.followed.keys() ?? []), ...reconciler.built.keys()])];
  }

  heard(change: ViewChange): void {
    if (change.scope === 'registry') this.#registry(change);
    else if (change.change?.kind === 'service') this.#service(change.scope, change.change.id);
    else if (change.change?.kind === 'endpoint')
      this.#endpoint(change.scope, change.previous as Endpoint | undefined, change.change);
    else {
      for (const key of ['node', change.scope] as const) this.#deps.queue.add(key);
      this.#deps.backends.lookAll(change.scope);
    }
  }

  #registry({ change, reset }: ViewChange): void {
    const { encryption, mirror, queue } = this.#deps;
    encryption.update(this.#view, reset === true);
    const network = change?.kind === 'network' ? change : undefined;
    if (network && !network.value) mirror.unfollow(network.id);
    this.#followOwn(reset ? this.#view.networks.values() : network?.value ? [network.value] : []);
    for (const key of network ? (['node', network.id] as const) : this.keys()) queue.add(key);
    this.enterPublished();
  }

  #service(network: NetworkId, id: Parameters<typeof keysOfService>[1]): void {
    const { backends, self } = this.#deps;
    const followed = this.#view.followed.get(network);
    this.#look(network, followed ? keysOfService(self().id, id, followed) : [], true);
    backends.lookAll(network);
  }

  #endpoint(
    network: NetworkId,
    before: Endpoint | undefined,
    { id, value }: { id: Endpoint['id']; value: Endpoint | undefined },
  ): void {
    const { backends, membership, queue, self } = this.#deps;
    const mine = (endpoint: Endpoint | undefined): boolean => endpoint?.node === self().id;
    backends.look(network, id);
    const served = [before, value].some((endpoint) => mine(endpoint) && endpoint?.backend);
    this.#look(network, before || value ? keysOfEndpoint(self().id, before, value) : [], served);
    // The store took a wish after its attach had failed for want of an answer: the whole pass withdraws it.
    const late = mine(value) && value?.state === 'starting';
    if (late && !membership.entering(network)) queue.add(network);
    // Another node may have detached the last one here.
    if (!value && mine(before)) this.partSoon(network);
  }

  /** `published`: what the host listens on may be another, where it does. */
  #look(network: NetworkId, keys: readonly PartKey[], published: boolean): void {
    const { queue, reconciler } = this.#deps;
    for (const key of reconciler.keysFor(network, keys)) queue.add(key);
    if (published && this.#view.followed.get(network)?.network.published.length) queue.add('node');
  }

  /** Backends of hosts that died get nothing any more, those that came back do. */
  rebalance(nodes: readonly NodeId[]): void {
    for (const [id, { endpoints }] of this.#view.followed) {
      const concerned = [...endpoints.values()].filter(({ node }) => nodes.includes(node));
      const services = new Set(concerned.flatMap(({ backend }) => backend?.service ?? []));
      for (const service of services) this.#look(id, [serviceKey(id, service)], false);
    }
  }

  /** Somebody else may have made this node a member: who brings back a network that was removed by mistake. */
  #followOwn(networks: Iterable<Network>): void {
    const { log, membership, mirror, queue, self } = this.#deps;
    for (const { id, members } of networks) {
      // An attach follows by itself.
      if (!members.includes(self().id) || this.#view.followed.has(id) || membership.entering(id)) continue;
      mirror
        .follow(id)
        .then(() => queue.add(id))
        .catch((error) => log.warn('following a network failed', { error: (error as Error).message }));
    }
  }

  /** Published ports are open on every node; of networks in clear, not on one behind a NAT. */
  enterPublished(): void {
    const { log, membership, self } = this.#deps;
    for (const network of this.#view.networks.values()) {
      if (!hasIngress(network) || network.members.includes(self().id)) continue;
      if (self().local && !network.encrypted) continue;
      void membership
        .enter(network)
        .catch((error) => log.warn('joining a network failed', { error: (error as Error).message }));
    }
  }

  /** A membership without endpoints is left over from a crash between two steps. */
  partSoon(id: NetworkId): void {
    const { log, membership } = this.#deps;
    if (!this.#view.followed.has(id)) return;
    void membership
      .leaveIfEmpty(id)
      .catch((error) => log.warn('leaving a network failed', { error: (error as Error).message }));
  }

  get #view(): View {
    return this.#deps.mirror.view as View;
  }
}
