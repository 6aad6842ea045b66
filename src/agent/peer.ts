import { randomBytes } from 'node:crypto';
import type { Kernel } from '../kernel/kernel.ts';
import type { Op } from '../kernel/op.ts';
import type { Policy, Sa, SaCounters } from '../kernel/state.ts';
import { host } from '../kernel/state.ts';
import type { Announcement, Refusal } from '../keys/announcement.ts';
import { announce, verifyAnnouncement } from '../keys/announcement.ts';
import type { Abilities } from '../keys/cipher.ts';
import type { EncapSetting } from '../keys/encap.ts';
import { espPort } from '../keys/encap.ts';
import { newExchange } from '../keys/exchange.ts';
import type { Hearing } from '../keys/hearing.ts';
import { listen } from '../keys/hearing.ts';
import type { Identity } from '../keys/identity.ts';
import type { Ends, Limits, Outcome, PairState } from '../keys/pair.ts';
import { isOpen } from '../keys/passage.ts';
import type { Way } from '../keys/sa.ts';
import { ported, saKey, saOf, sightOf } from '../keys/sa.ts';
import { step } from '../keys/step.ts';
import type { ClusterId } from '../model/id.ts';
import type { Node } from '../model/node.ts';
import { localOf } from '../model/node.ts';
import { Secret } from '../model/secret.ts';
import { peerPolicies } from '../plan/desired/guard.ts';
import { covers, policyName } from '../plan/diff.ts';
import { reqid } from '../plan/names.ts';
import type { Holder } from './holder.ts';
import type { Ipsec } from './ipsec.ts';
import type { PairFiles } from './pair-files.ts';
import type { Pins } from './pins.ts';
import { emptyProbe, probe } from './probe.ts';

/** A mapping of a NAT lives for half a minute at least (RFC 4787, 4.3, asks for two); RFC 3948 says 20 seconds. */
const keepaliveMs = 20_000;

/** What all pairs of a node have in common. */
export type Here = {
  readonly kernel: Kernel;
  readonly cluster: ClusterId;
  readonly identity: Identity;
  readonly pins: Pins;
  readonly files: PairFiles;
  readonly abilities: Abilities;
  readonly encap: EncapSetting;
  readonly holder: Holder;
  readonly limits: Limits;
  /** UDP port of encrypted networks. */
  readonly port: number;
  /** Does the kernel know SAs' directions? */
  readonly directions: boolean;
};

/** One other node: what is agreed with it, and the turns of its pair (keys/pair.ts has the picture). */
export class Peer {
  node: Node;
  /** The text it has for us in the store, if any. */
  text: string | undefined;
  rekey = false;
  /** What the store has from us, as far as we know; and what it should have. */
  said: string | undefined;
  saying: string | undefined;
  /** Of the last turn. */
  outcome: Outcome | undefined;
  /** Why what it announced is not taken. */
  refused: Refusal | undefined;
  readonly #here: Here;
  /** Where its ESP in UDP comes from, as its NAT was last heard to map it. */
  #port: number | undefined;
  #elsewhere: string | undefined;
  #hearing: Hearing | undefined;
  #deaf = false;
  #floor: number | undefined;
  #state: PairState | undefined;
  #verified:
    | { text: string; index: number; statement: string | undefined; announcement: Announcement | undefined }
    | undefined;

  constructor(here: Here, self: Node, node: Node) {
    this.#here = here;
    this.node = node;
    this.#state = here.files.read(this.#ends(self));
  }

  /** Is it known which generations were used? Without that there is no turn. */
  get known(): boolean {
    return this.#state !== undefined || this.#floor !== undefined;
  }

  /** Does this host send to it? */
  get up(): boolean {
    return this.outcome?.status.up ?? false;
  }

  /** And does it send to this host, by its own word? */
  get both(): boolean {
    return this.up && this.outcome?.status.rotating === undefined;
  }

  /** Its packets come from this address, which is not the one it has told. */
  get elsewhere(): string | undefined {
    return this.#elsewhere;
  }

  /** A packet of its has come from there. Is that news? The kernel tells it of every packet until the SAs are changed. */
  cameFrom(address: string, port: number): boolean {
    const before = { port: this.#port, elsewhere: this.#elsewhere };
    this.#elsewhere = address === this.node.underlay ? undefined : address;
    if (!this.#elsewhere) this.#port = port;
    return this.#port !== before.port || this.#elsewhere !== before.elsewhere;
  }

  /** It is somewhere else now. */
  forgetPort(): void {
    this.#port = this.#elsewhere = undefined;
  }

  /**
   * Reads what was done, decides, does it; what is to be said is left in `saying`. Killed or failing between any two of
   * these, the next turn finds what is missing. Gives the time of the next turn.
   */
  async turn(self: Node, now: number, ipsec: Ipsec): Promise<number | undefined> {
    const { abilities, encap, holder, files, limits, kernel, port } = this.#here;
    const ends = this.#ends(self);
    const way = this.#way(self, ipsec);
    const { state, outcome } = step(ends, this.#state, {
      now,
      date: new Date().toISOString(),
      sight: sightOf(ipsec.sas, way, this.#named(way, ipsec)),
      announcement: this.#announcement(self),
      index: self.index,
      abilities,
      encap,
      socket: holder.up,
      floor: this.#floor ?? 0,
      rekey: this.rekey,
      deaf: this.#deaf,
      nat: self.local !== undefined || this.node.local !== undefined,
      limits,
      fresh: newExchange,
    });
    if (outcome.save) files.write(ends, state);
    this.#state = state;
    this.outcome = outcome;
    this.rekey = false;
    this.#deaf = false;
    this.refused = outcome.refused ?? this.refused;
    for (const half of outcome.forget) half.wipe();
    try {
      await kernel.apply(host, this.#ops(way, outcome, ipsec));
    } finally {
      for (const { key } of outcome.add) key.wipe();
    }
    if (outcome.probe) await probe(way.local, way.remote, port);
    if (outcome.saying)
      this.saying = announce(this.#here.identity, { ...ends, from: self.id, to: this.node.id }, outcome.saying);
    return outcome.again;
  }

  /** Is there something to be done about it? What there is to be sent for its sake, or a NAT's, is sent. */
  async listen(self: Node, now: number, counters: ReadonlyMap<string, SaCounters | undefined>): Promise<boolean> {
    const session = this.outcome?.session;
    const [local, remote] = [localOf(self), this.node.underlay];
    const out = session && counters.get(saKey({ dst: remote, spi: session.tx }));
    const into = session && counters.get(saKey({ dst: local, spi: session.rx }));
    if (!out || !into) return false; // the next turn sees it, too
    const { hearing, answer, deaf } = listen(this.#hearing, session, { out, into }, emptyProbe(local), now);
    this.#hearing = hearing;
    this.#deaf ||= deaf;
    // In ESP, so that the peer hears of a mapping that has changed while nobody sent anything.
    const fading = self.local !== undefined && now - hearing.sentAt >= keepaliveMs;
    if (answer || fading) await probe(local, remote, this.#here.port);
    return deaf || (this.#state !== undefined && isOpen(this.#state, session, into));
  }

  /** Our own announcement, as the store has it: its number is taken, even if we know nothing of it. */
  recall(self: Node, text: string | undefined): void {
    const { cluster, identity } = this.#here;
    this.#floor = 0;
    if (text === undefined) return;
    const verdict = verifyAnnouncement(text, { cluster, from: self.id, index: self.index, to: this.node.id });
    if (verdict.ok && verdict.announcement.identity === identity.key) this.#floor = verdict.announcement.generation;
  }

  /** Begins anew with whoever it is now; our own numbers go on. */
  forget(): void {
    this.#floor = this.#state?.own.number;
    this.#state?.own.private?.wipe();
    this.#state = undefined;
    this.#verified = undefined;
    this.refused = undefined;
  }

  #ends(self: Node): Ends {
    return { cluster: this.#here.cluster, self: { id: self.id }, peer: { id: this.node.id } };
  }

  /** Verified once per text; who it is from was judged before. */
  #announcement(self: Node): Announcement | undefined {
    if (this.text === undefined) return undefined;
    const { id: from, index, statement } = this.node;
    const done = this.#verified;
    // What the CA says of it may have come since.
    if (done?.text === this.text && done.index === index && done.statement === statement) return done.announcement;
    const verdict = verifyAnnouncement(this.text, { cluster: this.#here.cluster, from, index, to: self.id });
    this.refused = verdict.ok ? this.#here.pins.judge(from, verdict.announcement.identity, statement) : verdict.reason;
    const announcement = verdict.ok && !this.refused ? verdict.announcement : undefined;
    this.#verified = { text: this.text, index, statement, announcement };
    return announcement;
  }

  /** The port is what was heard, or else what the SAs have. */
  #way(self: Node, { sas }: Ipsec): Way {
    const way = { local: localOf(self), remote: this.node.underlay, reqid, directions: this.#here.directions };
    const known = [...sas.values()].find((sa) => isPair(sa, way) && sa.dst === way.local && sa.encap);
    const keepalive = self.local === undefined ? undefined : keepaliveMs / 1000;
    return { ...way, port: this.#port ?? known?.encap?.sport ?? espPort, keepalive };
  }

  #policies({ local, remote }: Way, spi: number | undefined): readonly Policy[] {
    return peerPolicies({ local, remote, dport: this.#here.port }, spi);
  }

  /** The SPI that the policy towards the peer names; a policy that is not as we make them names none. */
  #named(way: Way, { policies }: Ipsec): number | undefined {
    const [, out] = this.#policies(way, 0);
    const have = out && policies.get(policyName(out));
    const spi = have?.tmpls[0]?.spi;
    const wanted = this.#policies(way, spi).at(-1);
    return spi !== undefined && !have?.partial && covers(have, wanted, []) ? spi : undefined;
  }

  /** In this order: what receives, what sends, what switches over, what is not needed any more. */
  #ops(way: Way, { add, keep, tx }: Outcome, { sas, policies }: Ipsec): Op[] {
    const have = (policy: Policy) => policies.get(policyName(policy));
    const unlike = (policy: Policy) => have(policy)?.partial || !covers(have(policy), policy, []);
    const [inwards, outwards] = this.#policies(way, tx);
    const [, any] = this.#policies(way, 0);
    const sets = (policy: Policy | undefined): Op[] => (policy && unlike(policy) ? [{ op: 'policy.set', policy }] : []);
    const dels: Op[] = !outwards && any && have(any) ? [{ op: 'policy.del', policy: any }] : [];
    const { packets, bytes } = this.#here.limits;
    const fresh = add.map(({ key, ...half }) => ({ sa: saOf(way, half, { packets, bytes }), key }));
    const adding = new Set(fresh.map(({ sa }) => saKey(sa)));
    const old = [...sas.values()].filter(
      (sa) =>
        isPair(sa, way) && !adding.has(saKey(sa)) && !(sa.dst === way.local ? keep.in : keep.out).includes(sa.spi),
    );
    const moved = [...sas.values()].flatMap((sa) => (isPair(sa, way) && !old.includes(sa) && ported(way, sa)) || []);
    return [
      ...moved.map((sa): Op => ({ op: 'sa.update', sa, key: nobodys() })),
      ...sets(inwards),
      ...fresh.map(({ sa, key }): Op => ({ op: 'sa.add', sa, key })),
      ...sets(outwards),
      ...dels,
      ...old.map(({ dst, spi }): Op => ({ op: 'sa.del', sa: { dst, spi } })),
    ];
  }
}

/** An update asks for a key and does not take it; should it ever make an SA, that one must not have a key anybody knows. */
const nobodys = (): Secret => new Secret(randomBytes(36));

function isPair(sa: Sa, { local, remote }: Pick<Way, 'local' | 'remote'>): boolean {
  const between = (sa.src === local && sa.dst === remote) || (sa.src === remote && sa.dst === local);
  return between && sa.reqid === reqid && !sa.partial;
}
