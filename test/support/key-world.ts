import assert from 'node:assert/strict';
import type { SaCounters } from '../../src/kernel/state.ts';
import type { Verdict } from '../../src/keys/announcement.ts';
import { announce, verifyAnnouncement } from '../../src/keys/announcement.ts';
import type { Abilities } from '../../src/keys/cipher.ts';
import type { EncapSetting } from '../../src/keys/encap.ts';
import { exchangeKeyOf } from '../../src/keys/exchange.ts';
import type { Identity } from '../../src/keys/identity.ts';
import type { Ends, Limits, Outcome, PairState } from '../../src/keys/pair.ts';
import { judgeIdentity } from '../../src/keys/pin.ts';
import type { Half, Sight } from '../../src/keys/sa.ts';
import { formatSession, parseSession } from '../../src/keys/session.ts';
import { step } from '../../src/keys/step.ts';
import type { ClusterId, NodeId } from '../../src/model/id.ts';
import { Secret } from '../../src/model/secret.ts';

/**
 * Nodes, their kernels and the store between them, small enough to be wrong nowhere: it knows nothing of generations, only
 * of SAs, policies, texts and packets. Every law is asserted at the moment it would be broken.
 */

const cluster = 'clusteraaaaaaaaa' as ClusterId;
type KernelSa = Half & {
  key: string;
  src: Host;
  dst: Host;
  added: number;
  packets: number;
  bytes: number;
  replaced?: true;
};

/** All that is ever added for sending, in the whole world: key -> who, to whom, SPI. */
type Ledger = Map<string, string>;

export class World {
  now = 1_000_000;
  readonly hosts: Host[] = [];
  readonly store = new Store(this);
  readonly ledger: Ledger = new Map();
  readonly drawn: { raw: Buffer }[] = [];
  readonly secrets: { half: Secret; host: Host; life: number }[] = [];
  /** Milliseconds a packet is under way. */
  flight = 5;
  packets = { sent: 0, blocked: 0, lost: 0, arrived: 0, probes: 0 };
  /** Does nothing pass between hosts? */
  cut = false;
  /** Does something on the way from one to the other drop protocol 50? */
  readonly filtered = new Map<Host, Set<Host>>();
  /** Signing and verifying the same again would be most of the work. */
  readonly signed = new Map<string, string>();
  readonly verdicts = new Map<string, Verdict>();
  readonly #flying: { at: number; from: Host; to: Host; sa: KernelSa }[] = [];
  #drawn = 0;
  readonly random: (limit: number) => number;

  constructor(random: (limit: number) => number) {
    this.random = random;
  }

  addHost(index: number, identity: Identity, abilities: Abilities): Host {
    const host = new Host(this, index, identity, abilities);
    this.hosts.push(host);
    return host;
  }

  /** A private half nobody else draws; the same in every run of a seed. */
  draw(host: Host) {
    const bytes = Buffer.alloc(32);
    bytes.writeUInt32BE(++this.#drawn, 8);
    this.drawn.push({ raw: Buffer.from(bytes) });
    const half = new Secret(bytes);
    this.secrets.push({ half, host, life: host.life });
    return { key: exchangeKeyOf(half), private: half };
  }

  /** From then on, one way. */
  filter(from: Host, to: Host, drops: boolean): void {
    const all = this.filtered.get(from) ?? new Set();
    this.filtered.set(from, all);
    if (drops) all.add(to);
    else all.delete(to);
  }

  /** One packet each way between all that are up. */
  traffic(): void {
    for (const from of this.hosts) for (const to of this.hosts) if (from !== to) this.send(from, to);
  }

  send(from: Host, to: Host): void {
    const spi = from.kernel.policies.get(to);
    const sa = spi === undefined ? undefined : from.kernel.find('out', spi, to);
    this.packets.sent++;
    if (!sa) {
      this.packets.blocked++;
      return;
    }
    sa.packets++;
    sa.bytes += 100;
    this.#flying.push({ at: this.now + this.flight, from, to, sa: { ...sa } });
  }

  pass(ms: number): void {
    this.now += ms;
    while (this.#flying[0] && this.#flying[0].at <= this.now) {
      const packet = this.#flying.shift();
      if (!packet) break;
      const { from, to, sa: sent } = packet;
      const sa = to.kernel.find('in', sent.spi, to);
      const passes = sent.encap === 'udp' ? to.socket : !this.filtered.get(from)?.has(to);
      if (passes && !this.cut && sa && sa.key === sent.key && sa.src === from) {
        assert.equal(sa.encap, sent.encap, 'one key with two encapsulations');
        sa.packets++;
        this.packets.arrived++;
      } else this.packets.lost++;
    }
  }
}

/** Texts by place, with all that ever stood there: what a reader gets is decided by the faults. */
class Store {
  readonly #world: World;
  readonly #history = new Map<string, { at: number; text: string }[]>();
  up = true;
  /** Milliseconds until a text is seen by others: at most. */
  delay = 0;
  /** Parts of 100: a read gives any older text. */
  stale = 0;

  constructor(world: World) {
    this.#world = world;
  }

  #at(from: Host, to: Host) {
    const key = `${from.id} ${to.id}`;
    const list = this.#history.get(key) ?? [];
    this.#history.set(key, list);
    return list;
  }

  write(from: Host, to: Host, text: string): boolean {
    if (!this.up) return false;
    const list = this.#at(from, to);
    const last = list.at(-1);
    if (last?.text !== text) list.push({ at: this.#world.now + this.#world.random(this.delay + 1), text });
    return true;
  }

  read(from: Host, to: Host): string | undefined {
    if (!this.up) return undefined;
    const list = this.#at(from, to);
    if (list.length > 0 && this.#world.random(100) < this.stale) return list[this.#world.random(list.length)]?.text;
    return list.findLast(({ at }) => at <= this.#world.now)?.text;
  }

  /** What is there now, for the one who wrote it. */
  newest(from: Host, to: Host): string | undefined {
    return this.up ? this.#at(from, to).at(-1)?.text : undefined;
  }

  /** A liar's. */
  put(from: Host, to: Host, text: string): void {
    this.#at(from, to).push({ at: this.#world.now, text });
  }

  /** All that ever stood there. */
  past(from: Host, to: Host): string[] {
    return this.#at(from, to).map(({ text }) => text);
  }

  /** Everything as it was `ms` ago, or gone. */
  rollback(ms: number): void {
    for (const [key, list] of this.#history) {
      this.#history.set(
        key,
        list.filter(({ at }) => at <= this.#world.now - ms),
      );
    }
  }
}

class FakeXfrm {
  readonly #world: World;
  readonly #host: Host;
  readonly sas = new Map<string, KernelSa>();
  readonly policies = new Map<Host, number>();
  /** Fails the next so many additions. */
  failing = 0;
  /** Takes no policy. */
  stubborn = false;

  constructor(world: World, host: Host) {
    this.#world = world;
    this.#host = host;
  }

  find(direction: 'in' | 'out', spi: number, dst: Host): KernelSa | undefined {
    const sa = this.sas.get(`${dst.index} ${spi}`);
    return sa?.direction === direction ? sa : undefined;
  }

  add(half: Half & { key: Secret }, peer: Host): boolean {
    const [src, dst] = half.direction === 'out' ? [this.#host, peer] : [peer, this.#host];
    const name = `${dst.index} ${half.spi}`;
    const key = Buffer.from(half.key.reveal()).toString('hex');
    assert.notEqual(key, '0'.repeat(72), 'a wiped key');
    if (this.failing > 0) {
      this.failing--;
      return false;
    }
    assert.ok(half.encap === 'esp' || this.#host.socket, 'in UDP, and nobody takes it out of that');
    assert.ok(!this.sas.has(name), `SPI ${half.spi} is taken at host ${dst.index}: not unique at the receiver`);
    const use = `${src.index} to ${dst.index}, ${half.spi}`;
    const known = this.#world.ledger.get(key);
    assert.ok(known === undefined || known === use, `one key for ${known} and for ${use}`);
    this.#world.ledger.set(key, use);
    const once = `${key} at ${this.#host.index} ${half.direction}`;
    assert.ok(!this.#world.ledger.has(once), `a key was added twice: ${use}, ${half.direction}`);
    this.#world.ledger.set(once, use);
    this.sas.set(name, { ...half, key, src, dst, added: Math.floor(this.#world.now / 1000), packets: 0, bytes: 0 });
    return true;
  }

  sight(peer: Host): Sight {
    const counters = ({ bytes, packets, added, direction }: KernelSa): SaCounters => ({
      bytes,
      packets,
      addTime: added,
      oseq: direction === 'out' ? packets : 0,
      seq: 0,
      replay: 0,
      replayWindow: 0,
      integrityFailed: 0,
    });
    return {
      tx: this.policies.get(peer),
      find: ({ direction, spi, cipher, encap }) => {
        const sa = this.sas.get(`${direction === 'out' ? peer.index : this.#host.index} ${spi}`);
        if (!sa) return undefined;
        const same = sa.direction === direction && sa.cipher === cipher && sa.encap === encap;
        return same ? counters(sa) : 'other';
      },
    };
  }
}

/** Where an agent can be killed. */
export class Killed extends Error {}

export class Host {
  readonly id: NodeId;
  readonly index: number;
  readonly world: World;
  readonly identity: Identity;
  abilities: Abilities;
  encap: EncapSetting = 'auto';
  /** Is ESP taken out of UDP? */
  socket = false;
  /** Another has its port. */
  taken = false;
  kernel: FakeXfrm;
  /** /run: what outlives an agent, and not a boot. */
  run = new Map<Host, Uint8Array>();
  boot = 1;
  /** One agent's. */
  life = 1;
  skew = 0;
  bootedAt: number;
  limits: Limits = { ageMs: 3_600_000, packets: 2 ** 32, bytes: 2 ** 38 };
  rekey = new Set<Host>();
  /** Kills the agent at its n-th act from now. */
  killIn: number | undefined;
  /** What happens before the next one starts. */
  killed = () => {};
  readonly #states = new Map<Host, PairState>();
  readonly #pins = new Map<NodeId, Identity['key']>();
  readonly outcomes = new Map<Host, Outcome>();
  readonly #refusals: string[] = [];

  constructor(world: World, index: number, identity: Identity, abilities: Abilities) {
    this.world = world;
    this.index = index;
    this.id = `node${'abcdefgh'[index]}`.padEnd(16, 'a') as NodeId;
    this.identity = identity;
    this.abilities = abilities;
    this.kernel = new FakeXfrm(world, this);
    this.bootedAt = world.now;
  }

  get refusals(): readonly string[] {
    return this.#refusals;
  }

  state(peer: Host): PairState | undefined {
    return this.#states.get(peer);
  }

  /** The process ends; kernel and /run stay. */
  kill(): void {
    this.life++;
    this.killIn = undefined;
    this.#states.clear();
    this.outcomes.clear();
    for (const entry of this.world.secrets) if (entry.host === this) entry.half.wipe();
  }

  reboot(): void {
    this.kill();
    this.boot++;
    this.bootedAt = this.world.now;
    this.kernel = new FakeXfrm(this.world, this);
    this.socket = false;
    this.run = new Map();
  }

  #act(): void {
    if (this.killIn === undefined || this.killIn-- > 0) return;
    this.kill();
    this.killed();
    throw new Killed();
  }

  /** One turn of the agent for one pair. false: there is more to do at once. */
  turn(peer: Host): boolean {
    const place = { boot: String(this.boot), ends: this.#ends(peer) };
    let before = this.#states.get(peer);
    const saved = this.run.get(peer);
    if (!before && saved) before = parseSession(place, new Secret(Uint8Array.from(saved)));
    if (before?.own.private && !this.#states.has(peer))
      this.world.secrets.push({ half: before.own.private, host: this, life: this.life });

    const announcement = this.#heard(peer);
    const mine = before ? undefined : this.world.store.newest(this, peer);
    const own = mine === undefined ? undefined : this.#verified(mine, this, peer);
    const { state, outcome } = step(this.#ends(peer), before, {
      now: this.world.now - this.bootedAt,
      date: new Date(this.world.now + this.skew).toISOString(),
      sight: this.kernel.sight(peer),
      announcement,
      index: this.index,
      abilities: this.abilities,
      encap: this.encap,
      socket: this.socket,
      floor: own?.ok ? own.announcement.generation : 0,
      rekey: this.rekey.delete(peer),
      deaf: false,
      nat: false,
      limits: this.limits,
      fresh: () => this.world.draw(this),
    });
    if (outcome.refused) this.#refusals.push(outcome.refused);
    this.#act();
    if (outcome.save) this.run.set(peer, Uint8Array.from(formatSession(place, state).reveal()));
    this.#states.set(peer, state);
    this.outcomes.set(peer, outcome);
    this.#act();
    for (const secret of outcome.forget) secret.wipe();
    let added = true;
    for (const half of outcome.add) {
      this.#act();
      added &&= this.kernel.add(half, peer);
      half.key.wipe();
    }
    this.#act();
    const named = this.kernel.policies.get(peer);
    if (added && outcome.tx !== named && !this.kernel.stubborn) {
      if (outcome.tx === undefined) this.kernel.policies.delete(peer);
      else this.kernel.policies.set(peer, outcome.tx);
    }
    for (const [name, sa] of this.kernel.sas) {
      const [list, other] = sa.direction === 'in' ? [outcome.keep.in, sa.src] : ([outcome.keep.out, sa.dst] as const);
      if (other !== peer || list.includes(sa.spi) || outcome.add.some(({ spi }) => spi === sa.spi)) continue;
      this.#act();
      this.kernel.sas.delete(name);
    }
    this.#act();
    if (outcome.probe) {
      this.world.packets.probes++;
      this.world.send(this, peer);
    }
    if (outcome.saying) {
      const ends = { cluster, from: this.id, to: peer.id };
      const said = JSON.stringify([ends, outcome.saying]);
      const text = this.world.signed.get(said) ?? announce(this.identity, ends, outcome.saying);
      this.world.signed.set(said, text);
      this.world.store.write(this, peer, text);
    }
    if (outcome.socket && !this.socket && !this.taken) {
      this.socket = true;
      return false;
    }
    return outcome.again === undefined || outcome.again > this.world.now - this.bootedAt;
  }

  /** Until there is nothing to do at once. A killed agent's successor begins again. */
  turns(peer: Host): void {
    for (let i = 0; i < 12; i++) {
      try {
        if (!this.turn(peer)) continue;
        const spi = this.kernel.policies.get(peer);
        const sa = spi === undefined ? undefined : this.kernel.find('out', spi, peer);
        assert.ok(spi === undefined || sa, 'the policy names an SA that is not there');
        assert.ok(!sa?.replaced, 'the policy names an SA that may use a nonce twice');
        return;
      } catch (error) {
        if (!(error instanceof Killed)) throw error;
      }
    }
    if (this.kernel.stubborn || this.kernel.failing > 0) return;
    assert.fail(`it never rests: ${JSON.stringify(this.outcomes.get(peer)?.status)}`);
  }

  #heard(peer: Host) {
    const text = this.world.store.read(peer, this);
    if (text === undefined) return undefined;
    const verdict = this.#verified(text, peer, this);
    if (!verdict.ok) {
      this.#refusals.push(verdict.reason);
      return undefined;
    }
    const judged = judgeIdentity(this.#pins, peer.id, verdict.announcement.identity);
    if (judged === 'pin') this.#pins.set(peer.id, verdict.announcement.identity);
    else if (judged !== 'accept') {
      this.#refusals.push(judged);
      return undefined;
    }
    return verdict.announcement;
  }

  #verified(text: string, from: Host, to: Host): Verdict {
    const place = `${from.index} ${to.index} ${text}`;
    const verdict = this.world.verdicts.get(place) ?? verifyAnnouncement(text, this.#expected(from, to));
    this.world.verdicts.set(place, verdict);
    return verdict;
  }

  #expected(from: Host, to: Host) {
    return { cluster, from: from.id, index: from.index, to: to.id };
  }

  #ends(peer: Host): Ends {
    return { cluster, self: { id: this.id }, peer: { id: peer.id } };
  }
}
