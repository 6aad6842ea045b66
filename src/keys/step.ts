import type { SaCounters } from '../kernel/state.ts';
import type { Secret } from '../model/secret.ts';
import type { Announcement, Saying, Stage } from './announcement.ts';
import { follows } from './announcement.ts';
import { chooseCipher } from './cipher.ts';
import type { End } from './derive.ts';
import { deriveKey } from './derive.ts';
import { chooseEncap } from './encap.ts';
import { sharedSecret } from './exchange.ts';
import type { Ends, Input, Outcome, Own, PairState, Reason, Session, Trouble } from './pair.ts';
import { isBlocked, isSilent, knownAt, probeAt, probeMs, staysBlocked, wishOf } from './passage.ts';
import { earliestNext, expiresAt, graceMs, reasonToRotate } from './rotation.ts';
import type { Sight } from './sa.ts';
import { lookAlike, packSpi } from './spi.ts';

/** A peer that begins again and again without ever agreeing leaves no more than these. */
const mostSessions = 6;

/**
 * What one node has to do for one pair (pair.ts has the picture). The agent's turn: read, step, save the state, wipe, add,
 * set the policy, delete, announce. Killed between any two it reads and steps again. Whatever is announced was seen in the
 * kernel by this very step, before its own ops.
 */
export function step(ends: Ends, before: PairState | undefined, input: Input): { state: PairState; outcome: Outcome } {
  const forget: Secret[] = [];
  const heard = hear(before?.peer, input.announcement);
  let state: PairState = before ? look({ ...before, peer: heard.peer }, input.sight) : first(heard.peer, input);

  const agreed = agree(state, input);
  if (agreed) {
    if (state.own.private) forget.push(state.own.private);
    const failures = agreed.doneAt === undefined ? state.failures : 0;
    state = { ...replaced(state, agreed), own: { ...state.own, private: undefined }, failures };
  }
  const last = state.sessions.findLast(({ sendingSince }) => sendingSince !== undefined);
  const current = last && { ...last, silent: isSilent(last, input) };
  if (current) state = replaced(state, current);
  const blocked = isBlocked(state, current);
  state = { ...state, sessions: outlived(state.sessions, current, input.now), blocked };

  const sent = countersOf(current, input.sight);
  const reason = reasonToRotate(ends, state, current, sent, input);
  const earliest = earliestNext(state.own, state.failures);
  const pausing = reason !== undefined && input.now < earliest && input.now >= state.own.madeAt;
  if (reason && !pausing) {
    if (state.own.private) forget.push(state.own.private);
    const wasGood = current?.own === state.own.number && current.doneAt !== undefined;
    state = { ...state, blocked: staysBlocked(state, current), failures: wasGood ? 0 : state.failures + 1 };
    state = { ...state, own: begin(state, state.peer, reason, input) };
  }

  const met = pausing ? 'pausing' : meet(ends, state, input);
  const add = typeof met === 'object' ? met.add : [];
  if (typeof met === 'object') state = met.state;

  const tx = current?.txGone ? undefined : current?.tx;
  const probing = tx === input.sight.tx ? probeAt(current, sent) : undefined;
  const probe = current !== undefined && probing !== undefined && probing <= input.now;
  if (probe) state = replaced(state, { ...current, probes: current.probes + 1, probedAt: input.now });

  const newest = newestOf(state);
  const stage: Stage = !newest || !isWhole(newest) ? 'known' : newest.moved ? 'moved' : 'ready';
  // What is about to be replaced is not said: the peer would do something for it.
  const silent = pausing || add.length > 0;
  if (newest && stage !== 'known' && !silent) state = replaced(state, { ...newest, offered: true });

  const rotated = current?.doneAt !== undefined && current.own === state.own.number;
  const outcome: Outcome = {
    add,
    keep: {
      in: state.sessions.filter(({ rxGone }) => !rxGone).map((session) => session.rx),
      out: state.sessions.filter(({ txGone }) => !txGone).map((session) => session.tx),
    },
    tx,
    session: current,
    socket: [state.own, state.peer, ...state.sessions].some((one) => one?.encap === 'udp'),
    probe,
    saying: silent ? undefined : sayingOf(state, stage),
    forget,
    refused: heard.refused,
    again:
      add.length > 0 || tx !== input.sight.tx
        ? input.now
        : pausing
          ? earliest
          : nextLook(ends, state, current, probe ? input.now + probeMs : probing, input),
    save: !before || textOf(before) !== textOf(state),
    status: {
      up: tx !== undefined,
      generation: current?.own,
      peerGeneration: current?.peer,
      cipher: current?.cipher,
      encap: current?.encap,
      blocked: state.blocked,
      ageMs: current?.sendingSince === undefined ? undefined : input.now - current.sendingSince,
      rotating: rotated ? undefined : state.own.reason,
      trouble: typeof met === 'string' ? met : troubleOf(state, current),
    },
  };
  return { state, outcome };
}

function hear(known: Announcement | undefined, next: Announcement | undefined) {
  const verdict = next ? follows(known, next) : 'same';
  if (verdict === 'newer') return { peer: next, refused: undefined };
  return { peer: known, refused: verdict === 'same' ? undefined : verdict };
}

function first(peer: Announcement | undefined, input: Input): PairState {
  const nothing = { peer, sessions: [], failures: 0, blocked: false };
  return { ...nothing, own: begin(undefined, peer, 'first', input) };
}

/** A number above all we know to be taken: by us, and by what the peer says to have heard, should we have forgotten. */
function begin(known: PairState | undefined, peer: Announcement | undefined, reason: Reason, input: Input): Own {
  let number = Math.max(known?.own.number ?? 0, input.floor, peer?.heard?.generation ?? 0) + 1;
  while (known?.sessions.some(({ own }) => lookAlike(own, number))) number++;
  const { key, private: half } = input.fresh();
  const { index, abilities, date: created, now: madeAt } = input;
  const encap = wishOf(known ?? { blocked: false }, input);
  return { number, key, private: half, index, abilities, encap, created, madeAt, reason, spent: false };
}

/** What has become of the SAs we made. One that was away, or is another, is never trusted again. */
function look(state: PairState, sight: Sight): PairState {
  const all = state.sessions.map((session): Session => {
    const rx = sight.find({ ...session, direction: 'in', spi: session.rx });
    const tx = sight.find({ ...session, direction: 'out', spi: session.tx });
    const seen =
      typeof rx === 'object' && typeof tx === 'object'
        ? { rxAdded: rx.addTime, txAdded: tx.addTime, oseq: tx.oseq }
        : undefined;
    const was = session.seen;
    return {
      ...session,
      rxGone: session.rxGone || typeof rx !== 'object' || (was !== undefined && rx.addTime !== was.rxAdded),
      txGone:
        session.txGone ||
        typeof tx !== 'object' ||
        (was !== undefined && (tx.addTime !== was.txAdded || tx.oseq < was.oseq)),
      seen: seen ?? was,
    };
  });
  const broken = all.some((session) => session.own === state.own.number && !isWhole(session));
  const sessions = all.filter(
    (session) => isWhole(session) || session.sendingSince !== undefined || (session.offered && !session.rxGone),
  );
  return { ...state, own: { ...state.own, spent: state.own.spent || broken }, sessions };
}

/** The newest session, when the peer says it can receive under it; and how far it is used. */
function agree({ own, peer, sessions }: PairState, { now, sight }: Input): Session | undefined {
  const session = newestOf({ own, peer, sessions });
  const heard = peer?.heard;
  if (!session || !isWhole(session)) return undefined;
  if (heard?.generation !== own.number || heard.key !== own.key || heard.stage === 'known') return undefined;
  const moved = session.moved || sight.tx === session.tx;
  const doneAt = session.doneAt ?? (moved && heard.stage === 'moved' ? now : undefined);
  return { ...session, sendingSince: session.sendingSince ?? now, moved, doneAt };
}

/** What was before the session both use may go, once nothing under way needs it. */
function outlived(sessions: readonly Session[], current: Session | undefined, now: number): readonly Session[] {
  const at = current ? sessions.indexOf(current) : 0;
  const over = current?.doneAt !== undefined && (now >= current.doneAt + graceMs || now < current.doneAt);
  const left = over ? sessions.slice(at) : [...sessions];
  while (left.length > mostSessions) {
    left.splice(
      left.findIndex((session) => session !== current),
      1,
    );
  }
  return left;
}

/** Our newest generation meets the peer's: both keys, derived and handed out once. */
function meet(
  ends: Ends,
  state: PairState,
  { sight, socket }: Input,
): { state: PairState; add: Outcome['add'] } | Trouble | undefined {
  const { own, peer } = state;
  if (!peer || !own.private || own.spent || newestOf(state)) return undefined;
  // It has met another of ours and is forgotten there: the peer will begin one for us.
  if (peer.heard?.stage === 'moved' && peer.heard.key !== own.key) return undefined;
  const cipher = chooseCipher(own.abilities, peer.abilities);
  if (!cipher) return 'no_common_cipher';
  const encap = chooseEncap(own.encap, peer.encap);
  if (encap === 'udp' && !socket) return 'no_udp_port';
  const rx = packSpi({ index: peer.index, sender: peer.generation, receiver: own.number });
  const tx = packSpi({ index: own.index, sender: own.number, receiver: peer.generation });
  // Somebody else's, or ours of times we know nothing of: the next number is another SPI.
  const agreed = { cipher, encap };
  if (sight.find({ direction: 'in', spi: rx, ...agreed }) || sight.find({ direction: 'out', spi: tx, ...agreed }))
    return { state: { ...state, own: { ...own, spent: true } }, add: [] };
  const shared = sharedSecret(own.private, peer.key);
  if (!shared) return 'weak_key';
  const here: End = { node: ends.self.id, generation: own.number, key: own.key };
  const there: End = { node: ends.peer.id, generation: peer.generation, key: peer.key };
  const session = { own: own.number, peer: peer.generation, ...agreed, rx, tx };
  const fresh: Session = {
    ...session,
    rxGone: false,
    txGone: false,
    offered: false,
    moved: false,
    silent: false,
    probes: 0,
  };
  const { cluster } = ends;
  const add = [
    { direction: 'in', spi: rx, ...agreed, key: deriveKey(shared, { cluster, from: there, to: here, ...agreed }) },
    { direction: 'out', spi: tx, ...agreed, key: deriveKey(shared, { cluster, from: here, to: there, ...agreed }) },
  ] as const;
  shared.wipe();
  return { state: { ...state, sessions: [...state.sessions, fresh] }, add };
}

function sayingOf({ own, peer }: PairState, stage: Stage): Saying {
  const { number: generation, key, index, abilities, encap, created } = own;
  const heard = peer && { generation: peer.generation, key: peer.key, stage };
  return { generation, key, index, abilities, encap, created, heard };
}

function nextLook(
  ends: Ends,
  state: PairState,
  current: Session | undefined,
  probing: number | undefined,
  input: Input,
): number | undefined {
  const times = [probing, knownAt(current, input.sight), nextStep(ends, state, current, input)];
  const known = times.filter((time) => time !== undefined);
  return known.length > 0 ? Math.min(...known) : undefined;
}

function nextStep(ends: Ends, state: PairState, current: Session | undefined, { limits }: Input): number | undefined {
  if (state.own.spent) return earliestNext(state.own, state.failures);
  if (current?.doneAt === undefined) return undefined;
  if (state.sessions[0]?.tx !== current.tx) return current.doneAt + graceMs;
  return current.own === state.own.number ? expiresAt(ends, current, limits) : undefined;
}

function troubleOf({ own, peer, blocked }: PairState, current: Session | undefined): Trouble | undefined {
  if (!peer) return 'unheard';
  if (blocked && current?.encap === 'esp') return 'esp_blocked';
  return own.private ? 'unanswered' : undefined;
}

type Sessions = Pick<PairState, 'own' | 'peer' | 'sessions'>;
const newestOf = ({ own, peer, sessions }: Sessions): Session | undefined =>
  sessions.find((session) => session.own === own.number && session.peer === peer?.generation);

const isWhole = ({ rxGone, txGone }: Session): boolean => !rxGone && !txGone;

function replaced(state: PairState, session: Session): PairState {
  const same = ({ own, peer }: Session) => own === session.own && peer === session.peer;
  return { ...state, sessions: state.sessions.map((one) => (same(one) ? session : one)) };
}

function countersOf(session: Session | undefined, sight: Sight): SaCounters | undefined {
  const found = session && sight.find({ ...session, direction: 'out', spi: session.tx });
  return typeof found === 'object' ? found : undefined;
}

/** Sequence numbers rise with every packet; that alone is not worth a write. */
function textOf(state: PairState): string {
  return JSON.stringify(state, (key, value: unknown) => (key === 'oseq' ? undefined : value));
}
