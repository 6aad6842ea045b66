import type { Policy, SaMapping } from '../kernel/state.ts';
import { host } from '../kernel/state.ts';
import type { NodeId } from '../model/id.ts';
import type { Node } from '../model/node.ts';
import { localOf } from '../model/node.ts';
import type { View } from '../model/view.ts';
import { reqid } from '../plan/names.ts';
import type { Store } from '../store/store.ts';
import { Ear } from './ear.ts';
import type { Ipsec } from './ipsec.ts';
import { ForeignPolicies, readIpsec, tidyOps } from './ipsec.ts';
import type { Log } from './log.ts';
import type { Here } from './peer.ts';
import { Peer } from './peer.ts';
import { monotonic, Turns } from './turns.ts';

const storeRetryMs = 1000;
const kernelRetryMs = 10_000;

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
  readonly #turns = new Turns(() => this.#run());
  readonly #foreign = new ForeignPolicies();
  readonly #ear: Ear;
  readonly #waiting = new Set<() => void>();
  #running: Promise<void> | undefined;
  #stopped = false;
  /** What others announced may have changed. */
  #heard = true;
  /** There may be SAs and policies of nodes that are no peers any more. */
  #litter = true;
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
    this.#ear = new Ear(here.kernel, self, this.#peers, log, (id) => {
      this.#turns.add(id);
      this.#run();
    });
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
        const said = peer.node.statement;
        peer.node = node;
        if (said !== node.statement) this.#turns.add(id);
        continue;
      }
      if (peer) {
        peer.node = node;
        peer.forgetPort();
        this.#litter = true;
      } else this.#peers.set(id, new Peer(this.#here, self, node));
      this.#heard = true;
      this.#turns.add(id);
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
    for (const id of this.#peers.keys()) this.#turns.add(id);
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

  /** Packets came in from elsewhere: a NAT has moved. */
  follow(mappings: readonly SaMapping[]): void {
    const self = localOf(this.#self());
    for (const { dst, spi, src, sport, ...mapping } of mappings) {
      if (mapping.reqid !== reqid || dst !== self) continue;
      const peer = [...this.#peers.values()].find(({ outcome }) => outcome?.keep.in.includes(spi));
      if (!peer?.cameFrom(src, sport)) continue;
      if (peer.elsewhere)
        this.#log.warn('packets of a node come from another address than it has told: is it behind a NAT?', {
          node: peer.node.name,
          address: src,
          cure: 'there: warren init --advertise ADDRESS --local OWN',
        });
      this.#turns.add(peer.node.id);
    }
    this.#run();
  }

  rekey(ids: readonly NodeId[]): void {
    for (const id of ids) {
      const peer = this.#peers.get(id);
      if (!peer) continue;
      peer.rekey = true;
      this.#turns.add(id);
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
    this.#turns.stop();
    await this.#ear.stop();
    await this.#running;
  }

  #drop(id: NodeId): void {
    this.#peers.delete(id);
    this.#turns.drop(id);
    this.#litter = true;
  }

  #run(): void {
    if (!this.#stopped) this.#running ??= this.#rounds();
  }

  async #rounds(): Promise<void> {
    await null; // several causes in one go are one round
    try {
      while (!this.#stopped && (this.#heard || this.#litter || this.#turns.any)) {
        if (this.#heard) await this.#listen();
        await this.#round();
        if ([...this.#peers.values()].some(({ outcome }) => outcome?.socket)) this.#here.holder.want();
        this.#looked();
        for (const look of this.#waiting) look();
      }
    } catch (error) {
      this.#log.warn('IPsec cannot be looked at', { error: (error as Error).message });
      for (const id of this.#peers.keys()) this.#turns.in(id, kernelRetryMs);
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
        if (strangers.includes(peer) || peer.text !== texts.get(id)) this.#turns.add(id);
        peer.text = texts.get(id);
      }
    } catch (error) {
      this.#log.warn('announcements cannot be read', { error: (error as Error).message });
      clearTimeout(this.#listenAgain);
      if (!this.#stopped) this.#listenAgain = setTimeout(() => this.hear(), storeRetryMs);
    }
  }

  async #round(): Promise<void> {
    const self = this.#self();
    const due = this.#turns.take().flatMap((id) => this.#peers.get(id) ?? []);
    const litter = this.#litter;
    this.#litter = false;
    const ipsec = await readIpsec(this.#here.kernel);
    this.#unguarded([...ipsec.policies.values()]);
    await this.#here.kernel.apply(host, this.#foreign.revalidateOps(ipsec));
    if (litter) await this.#tidy(self, ipsec);
    for (const peer of due) if (peer.known) await this.#turn(peer, self, ipsec);
    await this.#say(self);
  }

  async #turn(peer: Peer, self: Node, ipsec: Ipsec): Promise<void> {
    const { id, name } = peer.node;
    const before = { up: peer.up, refused: peer.refused, status: peer.outcome?.status };
    try {
      this.#turns.done(id, await peer.turn(self, monotonic(), ipsec));
    } catch (error) {
      const retryMs = this.#turns.failed(id);
      this.#log.warn('keys with a node could not be set', { node: name, error: (error as Error).message, retryMs });
    }
    const { status } = peer.outcome ?? {};
    if (peer.refused && peer.refused !== before.refused)
      this.#log.error('what a node announced is refused', {
        node: name,
        reason: peer.refused,
        ...(peer.refused === 'identity_changed' ? { ifItIsRight: `warren node trust ${name}` } : {}),
        ...(peer.refused === 'identity_uncertified' ? { cure: 'join again there: warren leave, warren join' } : {}),
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

  async #say(self: Node): Promise<void> {
    const news = [...this.#peers.values()].filter(({ saying, said }) => saying !== undefined && saying !== said);
    if (news.length === 0) return;
    const texts = new Map(news.map(({ node, saying }) => [node.id, saying as string]));
    try {
      await this.#store.announce(self.id, self.epoch, texts);
      for (const peer of news) peer.said = texts.get(peer.node.id);
    } catch (error) {
      this.#log.warn('announcing failed', { error: (error as Error).message });
      for (const { node } of news) this.#turns.in(node.id, storeRetryMs);
    }
  }

  /** Of nodes that left, or had another address. */
  async #tidy(self: Node, ipsec: Ipsec): Promise<void> {
    const peers = new Set([...this.#peers.values()].map(({ node }) => node.underlay as string));
    const here = localOf(self);
    const belongs = (src: string, dst: string) => (src === here && peers.has(dst)) || (dst === here && peers.has(src));
    await this.#here.kernel.apply(host, tidyOps(ipsec, belongs));
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
