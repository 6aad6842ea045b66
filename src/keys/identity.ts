import type { KeyObject } from 'node:crypto';
import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, sign, verify } from 'node:crypto';
import { base32 } from '../model/base32.ts';
import { Secret } from '../model/secret.ts';

/*
 * A node's identity: an Ed25519 pair (RFC 8032) that outlives reboots. It signs announcements and encrypts nothing.
 *   text         32 bytes of the public half, base64url without padding: 43 characters
 *   fingerprint  SHA-256 of these bytes, its first 80 bits in base32 (RFC 4648, lower case): abcd-efgh-ijkl-mnop
 *   private      PKCS #8, DER (RFC 8410): `openssl pkey -inform DER -text`
 */

export type IdentityKey = string & { readonly __key: 'ed25519' };

/** RFC 8410: what stands before the 32 bytes of a public half in its SubjectPublicKeyInfo. */
const publicPrefix = Buffer.from('302a300506032b6570032100', 'hex');
export const keyLength = 32;
export const signatureLength = 64;

/** Signs. The private half is in node's KeyObject: no printer shows it, and nobody can wipe it before the process ends. */
export class Identity {
  readonly key: IdentityKey;
  readonly #private: KeyObject;

  constructor(half: KeyObject) {
    if (half.type !== 'private' || half.asymmetricKeyType !== 'ed25519') throw new TypeError('not an Ed25519 key');
    this.#private = half;
    const whole = createPublicKey(half).export({ type: 'spki', format: 'der' });
    this.key = whole.subarray(publicPrefix.length).toString('base64url') as IdentityKey;
  }

  sign(bytes: Uint8Array): Uint8Array {
    return sign(null, bytes, this.#private);
  }

  /** For its file. */
  export(): Secret {
    return new Secret(this.#private.export({ type: 'pkcs8', format: 'der' }));
  }
}

export function newIdentity(): Identity {
  return new Identity(generateKeyPairSync('ed25519').privateKey);
}

/** Throws what OpenSSL says when the bytes are no Ed25519 private half. */
export function importIdentity(bytes: Secret): Identity {
  const key = Buffer.from(bytes.reveal().buffer, bytes.reveal().byteOffset, bytes.reveal().byteLength);
  return new Identity(createPrivateKey({ key, format: 'der', type: 'pkcs8' }));
}

export function verifyBy(key: IdentityKey, bytes: Uint8Array, signature: Uint8Array): boolean {
  const whole = Buffer.concat([publicPrefix, Buffer.from(key, 'base64url')]);
  return verify(null, bytes, createPublicKey({ key: whole, format: 'der', type: 'spki' }), signature);
}

/** So many bytes in their one spelling: base64url has others for the last of them. */
export function isBytesText(text: string, length: number): boolean {
  const bytes = Buffer.from(text, 'base64url');
  return bytes.length === length && bytes.toString('base64url') === text;
}

/** What people compare: as long as a node id, and no more likely to be met twice. */
export function fingerprint(key: IdentityKey): string {
  const digest = createHash('sha256').update(Buffer.from(key, 'base64url')).digest();
  return base32(digest.subarray(0, 10)).replace(/.{4}(?=.)/g, '$&-');
}
