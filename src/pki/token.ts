import { createHash, createHmac, hkdfSync, randomBytes, timingSafeEqual } from 'node:crypto';
import { base32 } from '../model/base32.ts';
import { WarrenError } from '../model/error.ts';
import type { Role } from '../model/node.ts';
import { invalid } from '../model/parse.ts';
import { derOf, type KeyPair } from './pem.ts';

/*
 * A join token, in base32 (RFC 4648, lower case, no padding):
 *   warren1-ROLE-ID-FINGERPRINT-SECRET
 *     ID           40 bits: which entry of the store says whether it still counts
 *     FINGERPRINT  SHA-256 of the cluster CA's certificate (DER): whom the joining host may talk to
 *     SECRET       first 128 bits of HMAC-SHA256(HKDF(CA's private key), ROLE-ID)
 * Every manager can make the secret again from the CA's key and an id, so neither the store nor a file holds one.
 */
export type Token = { readonly role: Role; readonly id: string; readonly fingerprint: string; readonly secret: string };

const shape = /^warren1-(worker|manager)-([a-z2-7]{8})-([a-z2-7]{52})-([a-z2-7]{26})$/;

export const newTokenId = (): string => base32(randomBytes(5));

export function tokenOf(role: Role, id: string, ca: KeyPair): string {
  return ['warren1', role, id, fingerprintOf(derOf(ca.certificate)), secretOf(role, id, ca)].join('-');
}

export function parseToken(text: string): Token {
  const match = shape.exec(text.trim());
  // The text stays out of the message: it is a secret.
  if (!match) throw invalid('that is no join token; on a manager, warren token prints one');
  const [, role, id = '', fingerprint = '', secret = ''] = match;
  return { role: role as Role, id, fingerprint, secret };
}

/** Throws unless this cluster made the token. Whether it still counts, the store says. */
export function verifyToken(token: Token, ca: KeyPair): void {
  const expected = Buffer.from(secretOf(token.role, token.id, ca));
  const given = Buffer.from(token.secret);
  if (given.length === expected.length && timingSafeEqual(given, expected)) return;
  throw refused('is not one of this cluster');
}

export function refused(why: string): WarrenError {
  return new WarrenError('token_refused', `the join token ${why}`, 'on a manager: warren token');
}

/** `certificate`: DER. */
export const fingerprintOf = (certificate: Uint8Array): string =>
  base32(createHash('sha256').update(certificate).digest());

function secretOf(role: Role, id: string, ca: KeyPair): string {
  const key = Buffer.from(hkdfSync('sha256', derOf(ca.key), '', 'warren join token', 32));
  return base32(createHmac('sha256', key).update(`${role}-${id}`).digest().subarray(0, 16));
}
