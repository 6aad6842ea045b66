import type { Policy } from '../kernel/state.ts';
import { host } from '../kernel/state.ts';
import { saKey } from '../keys/sa.ts';
import type { NodeId } from '../model/id.ts';
import type { Node } from '../model/node.ts';
import type { View } from '../model/view.ts';
import { policyName } from '../plan/diff.ts';
import { isOurs, reqid } from '../plan/names.ts';
import type { Store } from '../store/store.ts';
import type { Log } from './log.ts';
import type { Here, Ipsec } from './peer.ts';
import { Peer } from './peer.ts';

const firstRetryMs = 100;
const lastRetryMs = 10_000;
/** More than this is no delay of a timer. */
const farthestMs = 2 ** 31 - 1;
const mostTurns = 30;
const restMs = 1000;

/** Milliseconds since the host was started: it goes on when an agent starts again (clock_gettime(2), CLOCK_MONOTONIC). */
export const monotonic = (): number => Number(process.hrtime.bigint() / 1_000_000n);

/**
 * The nodes this one shares an encrypted network with, and their turns. One round at a time reads the kernel once, gives every
 * peer that is due its turn, and tells the store what there is to say, all together; a peer that fails comes again later and
 * keeps nobody waiting.
 */
export class Pairs {
  readonly #here: Here;
  readonly #store: Store;
  readonly #log: Log;
  readonly #self: () => Node;
  /** Somebody took the guard's policies away, or changed them. */
  readonly #unguarded: (policies: readonly Policy[]) => void;
  /** A round has ended. */
  readonly #looked: () => void;
  readonly #peers = new Map<NodeId, Peer>();
  readonly #due = new Set<NodeId>();
  readonly #retries = new Map<NodeId, number>();
  readonly #timers = new Map<NodeId, NodeJS.Timeout>();
  readonly #turns = new Map<NodeId, readonly number[]>();
  readonly #waiting = new Set<() => void>();
  #running: Promise<void> | undefined;
  #stopped = false;
  /** What others announced may have changed. */
  #heard = true;
  /** There may be SAs and policies of nodes that are no peers any more. */
  #litter = true;
  /** Names of the policies that are not ours, as last seen. */
  #foreign = '';
  #listenAgain: NodeJS.Timeout | undefined;

  constructor(
    here: Here,
    store: Store,
    log: Log,
    self: () => Node,
    unguarded: (policies: readonly Policy[]) => void,
    looked: () => void,
  ) {
    this.#here = here;
    this.#store = store;
    this.#log = log;
    this.#self = self;
    this.#unguarded = unguarded;
    this.#looked = looked;
  }

  get peers(): ReadonlyMap<NodeId, Peer> {
    return this.#peers;
  }

  /** The registry has changed: who is a peer, and where. */
  update(view: View): void {
    const self = this.#self();
    const wanted = peersOf(view, self.id);
    for (const id of this.#peers.keys()) if (!wanted.has(id)) this.#drop(id);
    for (const [id, node] of wanted) {
      const peer = this.#peers.get(id);
      if (peer && peer.node.underlay === node.underlay && peer.node.index === node.index) {
        peer.node = node;
        continue;
      }
      if (peer) {
        peer.node = node;
        this.#litter = true;
      } else this.#peers.set(id, new Peer(this.#here, self, node));
      this.#heard = true;
      this.#due.add(id);
    }
    this.#run();
  }

  /** What others announced may have changed. */
  hear(): void {
    this.#heard = true;
    this.#run();
  }

  /** The kernel may have changed, or time has passed unheard. */
  lookAtAll(): void {
    this.#litter = true;
    for (const id of this.#peers.keys()) this.#due.add(id);
    this.#run();
  }

  /** The store may have lost what we said. */
  sayAgain(): void {
    for (const peer of this.#peers.values()) peer.said = undefined;
    this.#heard = true;
    this.lookAtAll();
  }

  /** What was said and not answered may have been lost. */
  insist(): void {
    for (const peer of this.#peers.values()) if (peer.outcome?.status.rotating) peer.said = undefined;
    this.hear();
    this.lookAtAll();
  }

  rekey(ids: readonly NodeId[]): void {
    for (const id of ids) {
      const peer = this.#peers.get(id);
      if (!peer) continue;
      peer.rekey = true;
      this.#due.add(id);
    }
    this.#run();
  }

  /** Resolves when it is so, asked after every round; or after that time. */
  async until(isSo: () => boolean, ms: number): Promise<boolean> {
    if (isSo()) return true;
    return new Promise((resolve) => {
      const end = (answer: boolean) => {
        clearTimeout(timer);
        this.#waiting.delete(look);
        resolve(answer);
      };
      const look = () => isSo() && end(true);
      const timer = setTimeout(() => end(isSo()), ms);
      this.#waiting.add(look);
    });
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#listenAgain);
    for (const timer of this.#timers.values()) clearTimeout(timer);
    await this.#running;
  }

  #drop(id: NodeId): void {
    this.#peers.delete(id);
    this.#due.delete(id);
    this.#retries.delete(id);
    this.#turns.delete(id);
    clearTimeout(this.#timers.get(id));
    this.#timers.delete(id);
    this.#litter = true;
  }

  #run(): void {
    if (!this.#stopped) this.#running ??= this.#rounds();
  }

  async #rounds(): Promise<void> {
    await null; // several causes in one go are one round
    try {
      while (!this.#stopped && (this.#heard || this.#litter || this.#due.size > 0)) {
        if (this.#heard) await this.#listen();
        await this.#round();
        if ([...this.#peers.values()].some(({ outcome }) => outcome?.socket)) this.#here.holder.want();
        this.#looked();
        for (const look of this.#waiting) look();
      }
    } catch (error) {
      this.#log.warn('IPsec cannot be looked at', { error: (error as Error).message });
      this.#wake([...this.#peers.keys()], lastRetryMs);
    } finally {
      this.#running = undefined; // now: a cause may come before this promise is settled
    }
  }

  /** What others announced, and of peers we know nothing of, what we had. A store that does not answer is asked again. */
  async #listen(): Promise<void> {
    this.#heard = false;
    const self = this.#self();
    const strangers = [...this.#peers.values()].filter(({ known }) => !known);
    try {
      const [texts, own] = await Promise.all([
        this.#store.announcementsTo(self.id),
        this.#store.announcementsBy(
          self.id,
          strangers.map(({ node }) => node.id),
        ),
      ]);
      for (const peer of strangers) peer.recall(self, own.get(peer.node.id));
      for (const [id, peer] of this.#peers) {
        if (strangers.includes(peer) || peer.text !== texts.get(id)) this.#due.add(id);
        peer.text = texts.get(id);
      }
    } catch (error) {
      this.#log.warn('announcements cannot be read', { error: (error as Error).message });
      clearTimeout(this.#listenAgain);
      if (!this.#stopped) this.#listenAgain = setTimeout(() => this.hear(), lastRetryMs / 10);
    }
  }

  async #round(): Promise<void> {
    const self = this.#self();
    const due = [...this.#due].flatMap((id) => this.#peers.get(id) ?? []).filter(({ known }) => known);
    this.#due.clear();
    const litter = this.#litter;
    this.#litter = false;
    const { sas, policies } = await this.#here.kernel.read(host, { sas: true, policies: true });
    const ipsec: Ipsec = {
      sas: new Map(sas.map((sa) => [saKey(sa), sa])),
      policies: new Map(policies.map((policy) => [policyName(policy), policy])),
    };
    this.#unguarded(policies);
    await this.#revalidate(policies);
    if (litter) await this.#tidy(self, ipsec);
    for (const peer of due) await this.#turn(peer, self, ipsec);
    await this.#say(self);
  }

  async #turn(peer: Peer, self: Node, ipsec: Ipsec): Promise<void> {
    const { id, name } = peer.node;
    const before = { up: peer.up, refused: peer.refused, status: peer.outcome?.status };
    try {
      const again = await peer.turn(self, monotonic(), ipsec);
      this.#retries.delete(id);
      if (again !== undefined) this.#wake([id], this.#restless(id) ? restMs : again - monotonic());
    } catch (error) {
      const ms = Math.min(lastRetryMs, 2 * (this.#retries.get(id) ?? firstRetryMs / 2));
      this.#retries.set(id, ms);
      this.#log.warn('keys with a node could not be set', { node: name, error: (error as Error).message, retryMs: ms });
      this.#wake([id], ms);
    }
    const { status } = peer.outcome ?? {};
    if (peer.refused && peer.refused !== before.refused)
      this.#log.error('what a node announced is refused', {
        node: name,
        reason: peer.refused,
        ...(peer.refused === 'identity_changed' ? { ifItIsRight: `warren node trust ${name}` } : {}),
      });
    if (status && peer.up !== before.up) {
      const { generation, cipher, encap, trouble } = status;
      if (peer.up) this.#log.info('encrypted with a node', { node: name, generation, cipher, encap });
      else this.#log.warn('no keys with a node: packets to it are dropped', { node: name, why: trouble });
    }
    if (status?.blocked && !before.status?.blocked)
      this.#log.warn('ESP (IP protocol 50) from a node does not arrive', { node: name, wish: this.#here.encap });
    if (before.status?.encap && status?.encap && status.encap !== before.status.encap)
      this.#log.info('packets go another way to a node', { node: name, encap: status.encap });
  }

  /** A pair is done after a few turns; one that never is, as somebody undoes what they do, must not take the processor. */
  #restless(id: NodeId): boolean {
    const now = monotonic();
    const recent = (this.#turns.get(id) ?? []).filter((at) => at > now - restMs);
    this.#turns.set(id, [...recent, now]);
    return recent.length >= mostTurns;
  }

  #wake(ids: readonly NodeId[], ms: number): void {
    if (this.#stopped) return;
    for (const id of ids) {
      clearTimeout(this.#timers.get(id));
      this.#timers.delete(id);
      const wake = () => {
        this.#due.add(id);
        this.#run();
      };
      if (ms > 0) this.#timers.set(id, setTimeout(wake, Math.min(ms, farthestMs)));
      else this.#due.add(id);
    }
  }

  async #say(self: Node): Promise<void> {
    const news = [...this.#peers.values()].filter(({ saying, said }) => saying !== undefined && saying !== said);
    if (news.length === 0) return;
    const texts = new Map(news.map(({ node, saying }) => [node.id, saying as string]));
    try {
      await this.#store.announce(self.id, self.epoch, texts);
      for (const peer of news) peer.said = texts.get(peer.node.id);
    } catch (error) {
      this.#log.warn('announcing failed', { error: (error as Error).message });
      this.#wake(
        news.map(({ node }) => node.id),
        firstRetryMs * 10,
      );
    }
  }

  /**
   * A route that was looked up while somebody's policy let packets pass is used on after that policy is gone, and nft drops
   * them for ever (seen on Linux 6.12): an update of any policy makes the kernel look again.
   */
  async #revalidate(policies: readonly Policy[]): Promise<void> {
    const others = policies.filter((policy) => !isOurs.policy(policy) && !isOurs.peerPolicy(policy));
    const foreign = others.map(policyName).sort().join('\n');
    if (foreign === this.#foreign) return;
    this.#foreign = foreign;
    const ours = policies.filter((policy) => isOurs.policy(policy));
    await this.#here.kernel.apply(
      host,
      ours.map((policy) => ({ op: 'policy.set', policy }) as const),
    );
  }

  /** What is ours by its mark and leads to nobody we know: of nodes that left, or had another address. */
  async #tidy(self: Node, { sas, policies }: Ipsec): Promise<void> {
    const peers = new Set([...this.#peers.values()].map(({ node }) => node.underlay as string));
    const belongs = (src: string, dst: string) =>
      (src === self.underlay && peers.has(dst)) || (dst === self.underlay && peers.has(src));
    const bare = (prefix: string) => prefix.slice(0, prefix.indexOf('/'));
    const stray = [...policies.values()].filter(
      (policy) => isOurs.peerPolicy(policy) && !belongs(bare(policy.selector.src), bare(policy.selector.dst)),
    );
    const old = [...sas.values()].filter(
      ({ src, dst, partial, ...sa }) => !partial && sa.reqid === reqid && !belongs(src, dst),
    );
    await this.#here.kernel.apply(host, [
      ...stray.map(({ dir, selector }) => ({ op: 'policy.del', policy: { dir, selector } }) as const),
      ...old.map(({ dst, spi }) => ({ op: 'sa.del', sa: { dst, spi } }) as const),
    ]);
    this.#here.files.keep(new Set(this.#peers.keys()));
  }
}

/** Who shares an encrypted network with that node. Of two that say they have one address, the one that came last. */
function peersOf(view: View, self: NodeId): Map<NodeId, Node> {
  const ids = new Set<NodeId>();
  for (const { encrypted, members } of view.networks.values())
    if (encrypted && members.includes(self)) for (const id of members) ids.add(id);
  ids.delete(self);
  const own = view.nodes.get(self)?.underlay;
  const nodes = [...ids].flatMap((id) => view.nodes.get(id) ?? []).filter(({ underlay }) => underlay !== own);
  const last = new Map(nodes.sort((a, b) => (a.joinedAt < b.joinedAt ? -1 : 1)).map((node) => [node.underlay, node]));
  return new Map([...last.values()].map((node) => [node.id, node]));
}
