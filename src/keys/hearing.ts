import type { SaCounters } from '../kernel/state.ts';
import type { Session } from './pair.ts';
import { arrived } from './passage.ts';

/*
 * Does what the peer sends still come through, in the middle of a session? Every second both ends look at what its SAs have
 * counted:
 *   who got data and sent nothing     sends a datagram (passage.ts). That is no data: nobody answers it.
 *   who sent data and got nothing     three times in a row, is deaf: with its peer's agent alive something must have come.
 * A pair that is deaf begins another generation, which costs no packet when it was a false alarm; and the passage of that one
 * finds out what is the matter, as with every first one.
 */

export const lookMs = 1000;
export const patience = 3;

export type Hearing = {
  readonly tx: number;
  readonly out: SaCounters;
  readonly into: SaCounters;
  /** Looks in a row that found data sent, and nothing received. */
  readonly unanswered: number;
  /** When something was sent, as far as looks can tell. */
  readonly sentAt: number;
};

/** What an SA counts of a datagram that carries nothing: its IP header, too, when it is sent. */
export type Empty = { readonly out: number; readonly into: number };

export type Heard = { readonly hearing: Hearing; readonly answer: boolean; readonly deaf: boolean };

export function listen(
  before: Hearing | undefined,
  { tx }: Pick<Session, 'tx'>,
  { out, into }: Pick<Hearing, 'out' | 'into'>,
  empty: Empty,
  now: number,
): Heard {
  if (before?.tx !== tx) return { hearing: { tx, out, into, unanswered: 0, sentAt: now }, answer: false, deaf: false };
  const silent = out.packets === before.out.packets;
  const came = arrived(into) !== arrived(before.into);
  const unanswered = came ? 0 : before.unanswered + (hasData(before.out, out, empty.out) ? 1 : 0);
  return {
    hearing: { tx, out, into, unanswered, sentAt: silent ? before.sentAt : now },
    answer: silent && hasData(before.into, into, empty.into),
    // Of a session that has never heard anything passage.ts knows more.
    deaf: unanswered >= patience && arrived(into) > 0,
  };
}

function hasData(before: SaCounters, now: SaCounters, empty: number): boolean {
  return now.bytes - before.bytes > (now.packets - before.packets) * empty;
}
