import { createPrivateKey, createPublicKey, diffieHellman, randomBytes } from 'node:crypto';
import { Secret } from '../model/secret.ts';

/*
 * X25519 (RFC 7748): one pair per generation.
 *   text     32 bytes of the public half, base64url without padding: 43 characters
 *   private  32 bytes as drawn, not clamped; they are clamped when used
 * The private half is a Secret, wiped when its generation has met its peer's. node works on a KeyObject, which exists
 * only during one call here: its bytes are OpenSSL's, which zeroes them when the garbage collector lets go of it.
 */

export type ExchangeKey = string & { readonly __key: 'x25519' };
export type ExchangePair = { readonly key: ExchangeKey; readonly private: Secret };

/** RFC 8410: what stands before the 32 bytes of either half. */
const privatePrefix = Buffer.from('302e020100300506032b656e04220420', 'hex');
const publicPrefix = Buffer.from('302a300506032b656e032100', 'hex');
export const exchangeLength = 32;

export function newExchange(): ExchangePair {
  const half = new Secret(randomBytes(exchangeLength));
  return { key: exchangeKeyOf(half), private: half };
}

export function exchangeKeyOf(half: Secret): ExchangeKey {
  const whole = createPublicKey(open(half)).export({ type: 'spki', format: 'der' });
  return whole.subarray(publicPrefix.length).toString('base64url') as ExchangeKey;
}

/**
 * undefined: the peer's key has small order, so that anybody knows the secret (RFC 7748, 6.1); or it is our own come back.
 * Both are refused: neither is a key an honest peer draws.
 */
export function sharedSecret(half: Secret, theirs: ExchangeKey): Secret | undefined {
  if (exchangeKeyOf(half) === theirs) return undefined;
  const whole = Buffer.concat([publicPrefix, Buffer.from(theirs, 'base64url')]);
  const publicKey = createPublicKey({ key: whole, format: 'der', type: 'spki' });
  let shared: Secret;
  try {
    shared = new Secret(diffieHellman({ privateKey: open(half), publicKey }));
  } catch (error) {
    // OpenSSL 3 refuses the all-zero result itself; others hand it out.
    if ((error as NodeJS.ErrnoException).code === 'ERR_OSSL_FAILED_DURING_DERIVATION') return undefined;
    throw error;
  }
  return shared.reveal().every((byte) => byte === 0) ? undefined : shared;
}

function open(half: Secret) {
  const key = Buffer.concat([privatePrefix, half.reveal()], privatePrefix.length + exchangeLength);
  try {
    return createPrivateKey({ key, format: 'der', type: 'pkcs8' });
  } finally {
    key.fill(0);
  }
}
