import type { ClusterId, NodeId } from '../model/id.ts';
import type { Abilities, Cipher } from './cipher.ts';
import { ciphers, sameAbilities } from './cipher.ts';
import type { Encap } from './encap.ts';
import { encaps } from './encap.ts';
import type { ExchangeKey } from './exchange.ts';
import type { Identity, IdentityKey } from './identity.ts';
import { isBytesText, keyLength, signatureLength, verifyBy } from './identity.ts';

/*
 * What one node tells one other: its newest generation for that pair, and how far it is with the other's. Eleven lines of ASCII,
 * each ended by \n, fields parted by one space; what is signed is what is stored, byte by byte:
 *   warren announcement 1
 *   cluster CLUSTER
 *   from NODE INDEX
 *   to NODE
 *   identity KEY                     Ed25519, of the sender
 *   generation NUMBER KEY            X25519
 *   ciphers NAME[,NAME] aes fast|slow
 *   encap esp|udp                    what the sender wishes for
 *   created DATE                     by the sender's clock, for people: nothing is decided by it
 *   heard none | heard NUMBER KEY known|ready|moved
 *   signature BASE64URL              of all lines before; 64 bytes
 * known: I have seen your NUMBER.  ready: I can receive under (my NUMBER, your NUMBER), use it.  moved: and I send under it.
 */

const title = 'warren announcement 1';

export const stages = ['known', 'ready', 'moved'] as const;
export type Stage = (typeof stages)[number];

export type Announcement = {
  readonly cluster: ClusterId;
  readonly from: NodeId;
  readonly index: number;
  readonly to: NodeId;
  readonly identity: IdentityKey;
  readonly generation: number;
  readonly key: ExchangeKey;
  readonly abilities: Abilities;
  readonly encap: Encap;
  readonly created: string;
  /** The newest of the receiver's that the sender has accepted. */
  readonly heard?: { readonly generation: number; readonly key: ExchangeKey; readonly stage: Stage } | undefined;
};

/** What a pair's states decide; the rest is the same for all that a node says to another. */
export type Saying = Pick<Announcement, 'index' | 'generation' | 'key' | 'abilities' | 'encap' | 'created' | 'heard'>;

/** Equal sayings are equal texts: Ed25519 draws nothing. */
export function announce(identity: Identity, ends: { cluster: ClusterId; from: NodeId; to: NodeId }, saying: Saying) {
  const text = bodyOf({ ...ends, ...saying, identity: identity.key });
  return `${text}signature ${Buffer.from(identity.sign(Buffer.from(text))).toString('base64url')}\n`;
}

function bodyOf(said: Announcement): string {
  const { abilities, heard } = said;
  return [
    title,
    `cluster ${said.cluster}`,
    `from ${said.from} ${said.index}`,
    `to ${said.to}`,
    `identity ${said.identity}`,
    `generation ${said.generation} ${said.key}`,
    `ciphers ${abilities.ciphers.join()} aes ${abilities.fastAes ? 'fast' : 'slow'}`,
    `encap ${said.encap}`,
    `created ${said.created}`,
    heard ? `heard ${heard.generation} ${heard.key} ${heard.stage}` : 'heard none',
    '',
  ].join('\n');
}

/** Who is expected to have said it to whom; `index` as the registry has it. */
export type Expected = { cluster: ClusterId; from: NodeId; index: number; to: NodeId };

export type Refusal =
  /** Not eleven lines as above. */
  | 'malformed'
  /** Signed by another key than the one it names. */
  | 'bad_signature'
  /** Put where another's should be. */
  | 'misplaced'
  /** Of the same node with another identity than before. */
  | 'identity_changed'
  /** Of another node with the same identity: one was cloned. */
  | 'identity_shared'
  /** Of a node whose identity the cluster's CA does not know. */
  | 'identity_uncertified'
  /** It was replaced by one we have seen. */
  | 'older'
  /** Same generation, other content. */
  | 'contradictory';

export type Verdict = { ok: true; announcement: Announcement } | { ok: false; reason: Refusal };

const idText = '([a-z2-7]{16})';
const number = '([1-9][0-9]{0,14})';
const keyText = '([A-Za-z0-9_-]{43})';
const cipherText = ciphers.join('|');
const grammar = new RegExp(
  `^(${title}\n` +
    `cluster ${idText}\nfrom ${idText} ([1-9][0-9]{0,4})\nto ${idText}\nidentity ${keyText}\ngeneration ${number} ${keyText}\n` +
    `ciphers ((?:${cipherText})(?:,(?:${cipherText}))*) aes (fast|slow)\nencap (${encaps.join('|')})\n` +
    'created ([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z)\n' +
    `heard (?:none|${number} ${keyText} (${stages.join('|')}))\n)signature ([A-Za-z0-9_-]{86})\n$`,
);

/** What a text from the store says, if the one it names has said it, to us, about this pair. Pins come after (pin.ts). */
export function verifyAnnouncement(text: string, expected: Expected): Verdict {
  const match = grammar.exec(text);
  if (!match) return { ok: false, reason: 'malformed' };
  const [, body = '', cluster, from, index, to, identity, generation, key, names = '', aes, encap, ...rest] = match;
  const [created, heard, heardKey, stage, signature = ''] = rest;
  const keys = [identity, key, heardKey].filter((one) => one !== undefined);
  const spelled = keys.every((one) => isBytesText(one, keyLength)) && isBytesText(signature, signatureLength);
  if (!spelled) return { ok: false, reason: 'malformed' };
  const announcement: Announcement = {
    cluster: cluster as ClusterId,
    from: from as NodeId,
    index: Number(index),
    to: to as NodeId,
    identity: identity as IdentityKey,
    generation: Number(generation),
    key: key as ExchangeKey,
    abilities: { ciphers: names.split(',') as Cipher[], fastAes: aes === 'fast' },
    encap: encap as Encap,
    created: created ?? '',
    heard: heard ? { generation: Number(heard), key: heardKey as ExchangeKey, stage: stage as Stage } : undefined,
  };
  if (!verifyBy(announcement.identity, Buffer.from(body), Buffer.from(signature, 'base64url')))
    return { ok: false, reason: 'bad_signature' };
  const places = ['cluster', 'from', 'index', 'to'] as const;
  if (places.some((place) => announcement[place] !== expected[place])) return { ok: false, reason: 'misplaced' };
  return { ok: true, announcement };
}

/**
 * May `next` follow what we have accepted from that node? Generations rise; within one, what it has heard rises, and how
 * far it is with it. So a store that goes back, or is made to, is seen at once; and no clock is asked.
 */
export function follows(known: Announcement | undefined, next: Announcement): 'same' | 'newer' | Refusal {
  if (!known) return 'newer';
  if (next.identity !== known.identity) return 'identity_changed';
  if (next.generation !== known.generation) return next.generation > known.generation ? 'newer' : 'older';
  const same = next.key === known.key && next.index === known.index && next.encap === known.encap;
  if (!same || !sameAbilities(next.abilities, known.abilities)) return 'contradictory';
  const [was, is] = [known.heard, next.heard];
  if (!is || !was) return is ? 'newer' : was ? 'older' : 'same';
  if (is.generation !== was.generation) return is.generation > was.generation ? 'newer' : 'older';
  if (is.key !== was.key) return 'contradictory';
  const rise = stages.indexOf(is.stage) - stages.indexOf(was.stage);
  return rise === 0 ? 'same' : rise > 0 ? 'newer' : 'older';
}
