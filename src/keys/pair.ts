import type { ClusterId, NodeId } from '../model/id.ts';
import type { Secret } from '../model/secret.ts';
import type { Announcement, Refusal, Saying } from './announcement.ts';
import type { Abilities, Cipher } from './cipher.ts';
import type { Agreed } from './derive.ts';
import type { Encap, EncapSetting } from './encap.ts';
import type { ExchangeKey, ExchangePair } from './exchange.ts';
import type { Half, Sight } from './sa.ts';

/**
 * One pair of nodes, as one of them sees it. Each numbers its generations for this pair; a session is one generation of
 * ours and one of the peer's, with one key per direction. Both ends always strive for (newest of ours, newest of theirs):
 *
 *   begin g ── announce g ──► peer's h is heard: derive once, add rx and tx ──► both seen in the kernel: announce `ready`
 *     ▲                                                                          │ peer says `ready` for (h, g)
 *     │ time, bytes, request, loss,                                              ▼
 *     │ or the peer began another          forget g's private half, move tx in one update ──► seen there: announce `moved`
 *     └──────────────────────────────────── drop what was before, after a grace time ◄── peer says `moved`
 *
 * A private half meets peers' generations until one of these sessions is agreed on, and is forgotten then. So every
 * rotation renews both halves, and past traffic cannot be read with anything that is left, in either host.
 */
export type PairState = {
  readonly own: Own;
  /** The newest accepted. */
  readonly peer: Announcement | undefined;
  /** Of those whose SAs may be in the kernel, the first to be made first. */
  readonly sessions: readonly Session[];
  /** Generations begun since one was good on both sides. */
  readonly failures: number;
  /** It was found that ESP does not come through from the peer (passage.ts). */
  readonly blocked: boolean;
};

/** Our newest generation for this pair. */
export type Own = {
  readonly number: number;
  readonly key: ExchangeKey;
  /** undefined: forgotten, as it has met the peer's. */
  readonly private: Secret | undefined;
  /** What was announced with it. */
  readonly index: number;
  readonly abilities: Abilities;
  readonly encap: Encap;
  readonly created: string;
  readonly madeAt: number;
  readonly reason: Reason;
  /** Its key was handed out and the SA is not there: it may not be handed out again. */
  readonly spent: boolean;
};

export type Session = Agreed & {
  readonly own: number;
  readonly peer: number;
  readonly rx: number;
  readonly tx: number;
  /** As first found in the kernel; sequence numbers only rise. */
  readonly seen?: { readonly rxAdded: number; readonly txAdded: number; readonly oseq: number } | undefined;
  readonly rxGone: boolean;
  readonly txGone: boolean;
  /** The peer may send under it. */
  readonly offered: boolean;
  /** We were told that the peer can receive under it. */
  readonly sendingSince?: number | undefined;
  /** Our policy was seen to name it. */
  readonly moved: boolean;
  /** And the peer sends under it too. */
  readonly doneAt?: number | undefined;
  /** Nothing had come under it some seconds after both ends sent under it. */
  readonly silent: boolean;
  /** Datagrams sent so that the peer hears something, and the last one's time. */
  readonly probes: number;
  readonly probedAt?: number | undefined;
};

/** Why a generation was begun. */
export type Reason =
  | 'first'
  /** An SA of ours vanished, was replaced, or could not be added: its key is never used again. */
  | 'lost'
  /** The peer knows another key under our number: we forgot that we had used it. */
  | 'behind'
  /** Our index, abilities or wish for an encapsulation are not those we announced. */
  | 'changed'
  /** The peer has begun one, and ours has met its predecessor already. */
  | 'answer'
  /** What the peer sends has stopped to arrive (hearing.ts). */
  | 'silence'
  /** It arrives again: the way was cut, and ESP is worth another try. */
  | 'open'
  | 'request'
  | 'age'
  | 'packets'
  | 'bytes';

export type Limits = { readonly ageMs: number; readonly packets: number; readonly bytes: number };

export type Ends = {
  readonly cluster: ClusterId;
  readonly self: { readonly id: NodeId };
  readonly peer: { readonly id: NodeId };
};

export type Input = {
  /** Milliseconds of the host's monotonic clock: it goes on when an agent starts again, and begins anew with a boot. */
  readonly now: number;
  /** The host's idea of the date, for people. */
  readonly date: string;
  readonly sight: Sight;
  /** Verified, and its identity judged. undefined: there is none, or none that can be trusted. */
  readonly announcement: Announcement | undefined;
  /** What we are now. */
  readonly index: number;
  readonly abilities: Abilities;
  readonly encap: EncapSetting;
  /** Is there a socket that takes ESP out of UDP (agent/holder.ts)? */
  readonly socket: boolean;
  /** Highest number known to be used by us with this peer, where the state does not tell: our own announcement in the store. */
  readonly floor: number;
  readonly rekey: boolean;
  /** Does the peer seem to be cut off (hearing.ts)? */
  readonly deaf: boolean;
  /** Is either of both behind a NAT? Then ESP is in UDP, and another session shows the peer where we are now. */
  readonly nat: boolean;
  readonly limits: Limits;
  /** Randomness comes from outside. */
  readonly fresh: () => ExchangePair;
};

export type Outcome = {
  /** In this order, each key for once: the state already takes them as handed out. */
  readonly add: readonly (Half & { readonly key: Secret })[];
  /** SPIs that stay; any other SA of ours between these two goes, after the policy was set. */
  readonly keep: { readonly in: readonly number[]; readonly out: readonly number[] };
  /** What the policy towards the peer names. undefined: there is none, and the guard blocks. */
  readonly tx: number | undefined;
  /** The session that `tx` is of; in use on both sides once it is done. */
  readonly session: Session | undefined;
  /** Must there be a socket that takes ESP out of UDP? Without it no session in UDP begins. */
  readonly socket: boolean;
  /** Send a datagram under `tx`, before anything is said: the peer listens for it. */
  readonly probe: boolean;
  /** What the peer must find in the store. undefined: leave what is there, more will be known in a moment. */
  readonly saying: Saying | undefined;
  /** To be wiped once the state is saved. */
  readonly forget: readonly Secret[];
  /** Why the announcement was not taken. */
  readonly refused: Refusal | undefined;
  /** When to look again, though nothing was heard; now: when the ops were done. */
  readonly again: number | undefined;
  /** Has anything changed that must be saved before the rest is done? */
  readonly save: boolean;
  readonly status: PairStatus;
};

export type PairStatus = {
  readonly up: boolean;
  /** Of the session in use. */
  readonly generation: number | undefined;
  readonly peerGeneration: number | undefined;
  readonly cipher: Cipher | undefined;
  readonly encap: Encap | undefined;
  readonly blocked: boolean;
  readonly ageMs: number | undefined;
  /** Why a newer one was begun that is not in use on both sides yet. */
  readonly rotating: Reason | undefined;
  readonly trouble: Trouble | undefined;
};

export type Trouble =
  /** The peer has announced nothing we could take. */
  | 'unheard'
  /** It has, but does not answer our newest generation. */
  | 'unanswered'
  | 'no_common_cipher'
  | 'weak_key'
  /** One of both wishes for UDP, and the port that this takes is not ours. */
  | 'no_udp_port'
  /** Nothing comes through from the peer in ESP, and for now, or by the settings, it is ESP. */
  | 'esp_blocked'
  /** We wait before beginning yet another generation. */
  | 'pausing';
