import { createHash } from 'node:crypto';
import type { SaCounters } from '../kernel/state.ts';
import { sameAbilities } from './cipher.ts';
import type { Ends, Input, Limits, Own, PairState, Reason, Session } from './pair.ts';
import { isOpen, wishOf } from './passage.ts';

/** When a pair needs another generation, and why. */

/**
 * AES-GCM with a counter as nonce is sound for 2^38 bytes of one key (RFC 8446, 5.5, has 2^38.5); ChaCha20-Poly1305 for more.
 * With extended sequence numbers 2^64 packets can be sent: at 100 million a second that takes 5,800 years, agent or no agent.
 */
export const usualLimits: Limits = { ageMs: 3_600_000, packets: 2 ** 32, bytes: 2 ** 38 };

/** How long what was replaced still receives: packets under way when the peer moved. */
export const graceMs = 10_000;

const firstPauseMs = 500;
const longestPauseMs = 60_000;

/** Pauses grow while generations come to nothing; after one that did, or one alone that did not, there is none. */
export function earliestNext(own: Own, failures: number): number {
  return failures === 0 ? own.madeAt : own.madeAt + Math.min(firstPauseMs * 2 ** (failures - 1), longestPauseMs);
}

/** The last fifth of the time is spread out, by pair and generation, so that neither all pairs nor both ends rotate at once. */
export function expiresAt(ends: Ends, session: Session, limits: Limits): number {
  const digest = createHash('sha256').update(`${ends.self.id} ${ends.peer.id} ${session.own}`).digest();
  const part = digest.readUInt32BE(0) / 2 ** 32;
  return (session.sendingSince ?? 0) + Math.floor(limits.ageMs * (0.8 + 0.2 * part));
}

/** Forced by what happened: nothing else makes this pair whole. */
function mustRotate(state: PairState, current: Session | undefined, input: Input): Reason | undefined {
  const { own, peer } = state;
  if (own.index !== input.index || !sameAbilities(own.abilities, input.abilities)) return 'changed';
  if (own.encap !== wishOf(state, input)) return 'changed';
  if (peer?.heard && peer.heard.generation >= own.number && peer.heard.key !== own.key) return 'behind';
  if (own.spent) return 'lost';
  if (own.private) return undefined; // it still can meet whatever the peer begins
  if (current?.own !== own.number) return 'lost';
  if (peer?.generation !== current.peer) return 'answer';
  return undefined;
}

export function reasonToRotate(
  ends: Ends,
  state: PairState,
  current: Session | undefined,
  counters: SaCounters | undefined,
  input: Input,
): Reason | undefined {
  const forced = mustRotate(state, current, input);
  // While one is on its way, a wish for another is a wish for that one.
  if (forced || !current?.doneAt || current.own !== state.own.number) return forced;
  if (input.rekey) return 'request';
  if (input.deaf && (current.encap === 'esp' ? !state.blocked : input.nat)) return 'silence';
  const rx = input.sight.find({ ...current, direction: 'in', spi: current.rx });
  if (typeof rx === 'object' && isOpen(state, current, rx)) return 'open';
  // A clock that went back belongs to another boot.
  if (input.now >= expiresAt(ends, current, input.limits) || input.now < (current.sendingSince ?? 0)) return 'age';
  if (counters && counters.packets >= input.limits.packets) return 'packets';
  if (counters && counters.bytes >= input.limits.bytes) return 'bytes';
  return undefined;
}
