import { join } from 'node:path';
import type { Kernel } from '../kernel/kernel.ts';
import type { Endpoint } from '../model/endpoint.ts';
import type { NetworkId } from '../model/id.ts';
import type { Node } from '../model/node.ts';
import type { View } from '../model/view.ts';
import type { Key } from '../plan/key.ts';
import { partsOf } from '../plan/key.ts';
import { askedByNobody } from '../store/asker.ts';
import type { Mirror } from '../store/mirror.ts';
import type { Log } from './log.ts';
import { Queue } from './queue.ts';
import type { Outcome, Reconciler } from './reconcile.ts';
import { HostSysctls } from './sysctls.ts';

export type PassesDeps = {
  readonly kernel: Kernel;
  readonly mirror: Mirror;
  readonly reconciler: Reconciler;
  readonly log: Log;
  readonly stateDir: string;
  /** This node, once the store has been reached. */
  readonly self: () => Node | undefined;
  /** This node is being taken off the host: it has no record any more, and what it had goes. */
  readonly removing: () => boolean;
  /** It should be. */
  readonly removed: () => void;
  /** A pass is over: what is built may be other than before. */
  readonly applied: () => void;
  /** An endpoint's namespace has ended. */
  readonly gone: (endpoint: Endpoint) => Promise<void>;
  /** A whole network was looked at, and so may be what is left in it of attaches that ended early. */
  readonly looked: (network: NetworkId) => Promise<void>;
  /** It has nothing on this host. */
  readonly empty: (network: NetworkId) => void;
};

/** Makes this kernel as wished, key by key, and remembers for `status` how that went. */
export class Passes {
  readonly queue: Queue;
  readonly record: { lastAt: string | null; ok: boolean; driftFixed: number; lastError: string | null } = {
    lastAt: null,
    ok: true,
    driftFixed: 0,
    lastError: null,
  };
  readonly #deps: PassesDeps;
  readonly #sysctls: HostSysctls;
  /** Keys that are looked at because the kernel was not as wanted. */
  readonly #suspected = new Set<Key>();

  constructor(deps: PassesDeps) {
    this.#deps = deps;
    this.#sysctls = new HostSysctls(join(deps.stateDir, 'sysctls.json'));
    this.queue = new Queue(
      (key) => askedByNobody(() => this.#run(key)),
      (key, error, retry) => this.#failed(key, error, retry),
    );
  }

  /** The kernel is not as wanted there. */
  suspect(key: Key, why: string): void {
    this.#deps.log.debug('looking', { key, why });
    this.#suspected.add(key);
    this.queue.add(key);
  }

  async #run(key: Key): Promise<void> {
    const { log, mirror, reconciler, removed, removing, self } = this.#deps;
    const { view } = mirror;
    const node = self();
    if (!view || !node || mirror.frozen) return;
    if (!view.nodes.has(node.id) && !removing()) return removed();
    const began = Date.now();
    if (key === 'node') this.#sysctls.remember(await this.#forwardingBefore(view));
    const suspected = this.#suspected.delete(key);
    const { network, part } = partsOf(key);
    const built = network && reconciler.built.has(network);
    const outcome = await reconciler.run(view, key);
    const { steps } = outcome;
    // The host is as wished for the networks that are in its kernel.
    if (network && reconciler.built.has(network) !== built) this.queue.add('node');
    if (suspected && steps.length > 0) this.record.driftFixed++;
    Object.assign(this.record, { lastAt: new Date().toISOString(), ok: true, lastError: null });
    if (steps.length > 0) log.debug('reconciled', { key, steps: steps.length, ms: Date.now() - began });
    for (const { op, netns } of steps) log.debug('applied', { key, netns: netns.path, op });
    this.#after(part ? undefined : network, outcome);
  }

  /** None of it is awaited: it queues keys of its own, and this one is still running. */
  #after(network: NetworkId | undefined, { gone }: Outcome): void {
    const { applied, empty, gone: ended, log, looked, reconciler } = this.#deps;
    const failed = (error: Error) => log.warn('withdrawing failed', { error: error.message });
    applied();
    for (const endpoint of gone) {
      log.info('endpoint is gone: its namespace ended', { endpoint: endpoint.name, network: endpoint.network });
      void ended(endpoint).catch(failed);
    }
    if (!network) return;
    void looked(network).catch(failed);
    if (gone.length === 0 && !reconciler.built.has(network)) empty(network);
  }

  async #forwardingBefore(view: View): Promise<Record<string, string>> {
    const open = [...view.followed.values()].some(({ network }) => !network.internal);
    if (!open) return {};
    const { sysctls } = await this.#deps.kernel.read(
      { path: '' },
      { sysctls: ['net/ipv4/ip_forward', 'net/ipv6/conf/all/forwarding'] },
    );
    return Object.fromEntries(sysctls.map(({ key, value }) => [key, value]));
  }

  #failed(key: Key, error: unknown, retry: number): void {
    Object.assign(this.record, { ok: false, lastError: (error as Error).message });
    this.#deps.log.warn('reconciling failed', { key, error: (error as Error).message, retryMs: retry });
  }
}
