import { mkdirSync, writeFileSync } from 'node:fs';
import type { Server } from 'node:net';
import type { Kernel } from '../kernel/kernel.ts';
import { openKernel } from '../kernel/native.ts';
import type { Policy } from '../kernel/state.ts';
import { WarrenError } from '../model/error.ts';
import type { NodeId } from '../model/id.ts';
import type { Network } from '../model/network.ts';
import { type Node, type Nodes, resting } from '../model/node.ts';
import type { View } from '../model/view.ts';
import { guard } from '../plan/desired/guard.ts';
import { covers } from '../plan/diff.ts';
import { askedByNobody } from '../store/asker.ts';
import { Mirror } from '../store/mirror.ts';
import type { Store } from '../store/store.ts';
import { type AttachDeps, detachEndpoint, withdrawAbandoned } from './attach.ts';
import { Backends } from './backends.ts';
import { BalanceWatch } from './balance-watch.ts';
import { Changes } from './changes.ts';
import type { Config, Paths } from './config.ts';
import { Dns } from './dns.ts';
import { readDown, writeDown } from './dns-files.ts';
import { Drift } from './drift.ts';
import { DropWatch } from './drops.ts';
import { Encryption } from './encryption.ts';
import { bootId } from './facts.ts';
import { Health } from './health.ts';
import { Lease, vigilance } from './lease.ts';
import { takeLock } from './lock.ts';
import type { Log } from './log.ts';
import { Membership } from './membership.ts';
import { Office } from './office.ts';
import { Passes } from './passes.ts';
import type { Queue } from './queue.ts';
import { Reconciler } from './reconcile.ts';
import { Recovery } from './recover.ts';
import { ResolvConf } from './resolv-conf.ts';
import { Self } from './self.ts';
import { Serial } from './serial.ts';
import { ApiServer, type Method } from './server.ts';
import { openStoreOf } from './store-tls.ts';
import { Upgrade } from './upgrade.ts';
import { ViewFile } from './view-file.ts';
import { Wanted } from './wanted.ts';

const resyncSeconds = 30;
const retryMs = 1000;
/** A node that was removed takes so long at most to detach what it had. */
const partingMs = 5000;

/** The owner of this node's kernel. All its state is here; what guards it: nothing, as it is one thread. */
export class Agent {
  readonly log: Log;
  readonly config: Config;
  readonly kernel: Kernel;
  readonly store: Store;
  readonly mirror: Mirror;
  readonly passes: Passes;
  readonly queue: Queue;
  readonly reconciler: Reconciler;
  readonly deps: AttachDeps;
  readonly recovery: Recovery;
  readonly encryption: Encryption;
  readonly dropWatch: DropWatch;
  readonly dns: Dns;
  readonly office: Office;
  readonly here: Self;
  readonly upgrade: Upgrade;
  readonly startedAt = new Date().toISOString();
  readonly #paths: Paths;
  readonly #resolvConf: ResolvConf;
  readonly #backends: Backends;
  readonly #changes: Changes;
  readonly #drift: Drift;
  #balance: BalanceWatch | undefined;
  readonly #timers: NodeJS.Timeout[] = [];
  /** Resolves why the agent ends; rejects when it must not go on. */
  readonly ended: Promise<void>;
  #end: { resolve: () => void; reject: (error: Error) => void } = { resolve: () => {}, reject: () => {} };
  #lock: Server | undefined;
  #api: ApiServer | undefined;
  #lease: Lease | undefined;
  #health: Health | undefined;
  #stopping = false;
  #removing = false;

  constructor(config: Config, paths: Paths, log: Log) {
    this.config = config;
    this.log = log;
    this.#paths = paths;
    this.kernel = openKernel();
    this.store = openStoreOf(config);
    const viewFile = new ViewFile(paths.stateDir, log);
    this.mirror = new Mirror(this.store, viewFile.read(), { log: viewFile });
    this.office = new Office(config, paths, this.store, () => this.mirror.view, log);
    const boot = bootId();
    const wanted = new Wanted();
    this.reconciler = new Reconciler(this.kernel, wanted, config.node.id, boot, this.resting);
    this.recovery = new Recovery(this.kernel, this.store, this.mirror, log, config.node.id, boot);
    this.passes = new Passes({
      ...{ kernel: this.kernel, mirror: this.mirror, reconciler: this.reconciler, log, stateDir: paths.stateDir },
      self: () => this.here.node,
      removing: () => this.#removing,
      removed: () => this.#removed(),
      applied: () => this.#watchBuilt(),
      gone: (endpoint) => detachEndpoint(this.deps, endpoint),
      looked: (network) => withdrawAbandoned(this.deps, network),
      empty: (network) => this.#changes.partSoon(network),
    });
    this.queue = this.passes.queue;
    this.#resolvConf = new ResolvConf(config.node.id, log);
    this.dns = new Dns(paths, boot, log);
    this.#drift = new Drift(
      this.kernel,
      wanted,
      () => this.queue.busy,
      (key, why) => this.passes.suspect(key, why),
      (news) => this.here.heard(news),
    );
    this.encryption = new Encryption(
      this.kernel,
      this.store,
      log,
      config,
      (policies) => this.#checkGuard(policies),
      () => this.here.tell(),
    );
    this.here = new Self({
      ...{ kernel: this.kernel, store: this.store, mirror: this.mirror, encryption: this.encryption },
      ...{ config, configPath: paths.config, log, moved: (place) => this.office.moved(place) },
    });
    this.upgrade = new Upgrade({
      ...{ store: this.store, mirror: this.mirror, log, role: config.role },
      regrant: () => this.office.regrant(),
    });
    this.dropWatch = new DropWatch(this.kernel, () => this.#encryptedHere(), log);
    this.#backends = new Backends(this.kernel, this.store, this.mirror, log, () => this.self);
    this.deps = {
      kernel: this.kernel,
      store: this.store,
      mirror: this.mirror,
      queue: this.queue,
      reconciler: this.reconciler,
      self: () => this.self,
      boot,
      serial: new Serial(),
      membership: new Membership(this.store, this.mirror, this.queue, config.node.id),
      encryption: this.encryption,
      isDown: (node) => this.isDown(node),
      namesServed: (network) => this.dns.serves(network),
    };
    const { membership } = this.deps;
    this.#changes = new Changes({
      ...{ mirror: this.mirror, queue: this.queue, reconciler: this.reconciler, membership, log },
      ...{ encryption: this.encryption, backends: this.#backends, self: () => this.self },
    });
    this.ended = new Promise((resolve, reject) => {
      this.#end = { resolve, reject };
    });
    this.ended.catch(() => {});
  }

  /** This node as the store knows it. */
  get self(): Node {
    const { node } = this.here;
    if (node) return node;
    throw new WarrenError(
      'store_unreachable',
      `the store ${this.store.url} has not been reached since the agent started`,
      'see: warren status',
    );
  }

  /** What is known; REQUIRES: the mirror has started. */
  get view(): View {
    const { view } = this.mirror;
    if (view) return view;
    throw new WarrenError(
      'store_unreachable',
      `the store ${this.store.url} has not been reached yet`,
      'see: warren status',
    );
  }

  get synced(): boolean {
    return this.here.node !== undefined;
  }

  /** Init in order; stop() undoes it reversed. */
  async start(methods: Readonly<Record<string, Method>>): Promise<void> {
    await this.#prepare();
    this.#api = await ApiServer.listen(this.#paths.socket, methods);
    this.dns.want();
    await this.office.open(this.here.place);
    this.log.info('agent started', { node: this.config.node.name, socket: this.#paths.socket, store: this.store.url });
    void this.#join();
  }

  /** For `sync --once`: joins, and makes one whole pass over everything. */
  async runOnce(): Promise<void> {
    await this.#prepare();
    await this.office.prepare(this.here.place);
    this.dns.want();
    await this.#takeOver();
    await this.passAll();
    await this.encryption.allAgreed();
  }

  async #prepare(): Promise<void> {
    this.#lock = await takeLock();
    for (const dir of [this.#paths.stateDir, this.#paths.runDir]) mkdirSync(dir, { recursive: true, mode: 0o700 });
    leaveNoDump();
  }

  /** Leaves the kernel as it is: restarts and upgrades lose no packet. */
  async stop(): Promise<void> {
    if (this.#stopping) return;
    this.#stopping = true;
    this.office.stop();
    this.here.stop();
    this.#lease?.stop();
    this.#health?.stop();
    this.#backends.stop();
    this.#drift.close();
    this.dropWatch.stop();
    this.#balance?.stop();
    await this.encryption.stop();
    this.dns.stop();
    for (const timer of this.#timers) clearInterval(timer);
    await this.recovery.stop();
    await this.queue.close();
    await this.#api?.close();
    await this.mirror.close();
    await this.store.close();
    await this.kernel.close();
    this.#lock?.close();
    this.log.info('agent stopped; the kernel is left as it is');
    this.#end.resolve();
  }

  /** Every key there is, each looked at as a whole; settles when all are done. */
  async passAll(): Promise<void> {
    const passes = await Promise.allSettled(this.#changes.keys().map((key) => this.queue.done(key)));
    for (const pass of passes) if (pass.status === 'rejected') throw pass.reason;
  }

  /** Until the store answers, the kernel stays as it was found. */
  async #join(): Promise<void> {
    for (;;) {
      try {
        await this.#takeOver();
        return;
      } catch (error) {
        if (this.#stopping) return;
        if (error instanceof WarrenError && error.code === 'node_not_found') return this.#removed();
        this.log.warn('the store cannot be used yet; the kernel is left as it is', { error: (error as Error).message });
        await new Promise((resolve) => setTimeout(resolve, retryMs));
        if (this.#stopping) return;
      }
    }
  }

  async #takeOver(): Promise<void> {
    // The cached view first: a store that has lost this node must be told of it before the node can start.
    await this.mirror.start();
    await this.recovery.settle();
    const { cluster } = this.view;
    const { boot } = this.deps;
    await this.encryption.open(this.#paths, boot, cluster, this.view.nodes.get(this.config.node.id));
    const facts = await this.here.facts();
    const watch = vigilance(this.config.downAfter);
    const node = await this.store.nodeStart(this.config.node.id, facts, watch.leaseMs, boot);
    await this.mirror.refresh('');
    for (const network of this.mirror.view?.networks.values() ?? []) {
      if (network.members.includes(node.id)) await this.mirror.follow(network.id);
    }
    this.here.started(node);
    this.encryption.start(cluster.id, cluster.dataPort, () => this.self);
    this.encryption.update(this.view, false);
    const health = new Health({
      ...watch,
      peers: () => [...this.view.nodes.values()].filter(({ id }) => id !== node.id),
      known: readDown(this.#paths.runDir),
      changed: (nodes) => this.#healthChanged(nodes),
    });
    this.#health = health;
    this.#lease = new Lease(this.store, node, watch, this.log, {
      heard: (quiet) => health.heard(quiet),
      unheard: () => health.unheard(),
      superseded: (error) => this.#end.reject(error),
    });
    this.#resolvConf.sync(this.view);
    this.mirror.onChange((change) =>
      askedByNobody(() => {
        this.#resolvConf.changed(this.view, change);
        this.#changes.heard(change);
        if (change.scope === 'registry') void this.upgrade.look();
        this.here.told(change);
      }),
    );
    void this.upgrade.start();
    this.recovery.watch(() => this.#removed());
    this.#drift.watch('', 'node');
    this.#balance = new BalanceWatch(
      this.reconciler,
      () => this.queue.busy,
      (network, why) => this.passes.suspect(network, why),
    );
    this.#backends.lookAll();
    this.#changes.enterPublished();
    const resync = this.config.resync ?? resyncSeconds;
    if (resync > 0)
      this.#timers.push(
        setInterval(() => {
          for (const key of this.#changes.keys()) this.queue.add(key);
          this.#changes.enterPublished();
          this.encryption.resync();
          this.here.tell();
          void this.upgrade.look(); // what it heard while it was busy, or could not do then
        }, resync * 1000),
      );
    this.log.info('in the cluster', { cluster: this.config.cluster, epoch: node.epoch, address: node.underlay });
    const began = performance.now();
    this.passAll().then(
      () => this.log.info('this host is as wished', { ms: Math.round(performance.now() - began) }),
      () => {}, // the queue has said what, and tries again
    );
  }

  /** What is not frozen and lacks this node is the cluster without it. Only a person brings it back. */
  #removed(): void {
    if (this.#removing) return;
    this.#removing = true;
    const { node, cluster } = this.config;
    const error = new WarrenError(
      'node_not_found',
      `node "${node.name}" was removed from cluster "${cluster}"`,
      'to come back: warren init; to take what is left off this host: warren leave',
    );
    // Its endpoints went before it did: they are detached here, too, whichever news came first.
    const failed = (cause: unknown) =>
      this.log.warn('what this node had is not all detached', { error: (cause as Error).message });
    const detached = this.mirror
      .refresh()
      .catch(failed)
      .then(() => this.passAll());
    const late = new Promise((resolve) => setTimeout(resolve, partingMs).unref());
    void Promise.race([detached.catch(failed), late]).then(() => this.#end.reject(error));
  }

  #watchBuilt(): void {
    for (const [id, namespace] of this.reconciler.built) this.#drift.watch(`/run/netns/${namespace}`, id);
    this.#drift.keep(new Set(['', ...[...this.reconciler.built.values()].map((name) => `/run/netns/${name}`)]));
  }

  /** Nodes that this one finds dead. */
  get down(): ReadonlySet<NodeId> {
    return this.#health?.down ?? new Set();
  }

  /** Nodes whose backends get no new connections. */
  readonly resting: Nodes = {
    has: (id) => resting(this.mirror.view?.nodes ?? new Map(), this.down).has(id),
  };

  /** Does this node find that one dead? */
  isDown(node: NodeId): boolean {
    return this.down.has(node);
  }

  /** Names and balancing leave out hosts that are dead. */
  #healthChanged(nodes: readonly NodeId[]): void {
    writeDown(this.#paths.runDir, this.down);
    this.#changes.rebalance(nodes);
  }

  /** The encrypted networks that are in this host's kernel. */
  #encryptedHere(): Network[] {
    const networks = [...this.reconciler.built.keys()].flatMap((id) => this.mirror.view?.networks.get(id) ?? []);
    return networks.filter(({ encrypted }) => encrypted);
  }

  /** Policies may be flushed by anybody; nft holds until ours are back. */
  #checkGuard(policies: readonly Policy[]): void {
    if (this.#encryptedHere().length === 0) return;
    const there = guard(this.view.cluster).policies.every((want) => policies.some((have) => covers(have, want, [])));
    if (!there) this.passes.suspect('node', 'the guard is not as it should be');
  }
}

/** A core dump would have keys in it: none of this process's memory goes into one (core(5)). */
function leaveNoDump(): void {
  try {
    writeFileSync('/proc/self/coredump_filter', '0');
  } catch {} // a kernel without core dumps
}
