import { type KeyObject, sign, verify } from 'node:crypto';
import type { KeyPair } from './pem.ts';

/*
 * What a cluster's CA says of a node's identity (keys/identity.ts), so that nobody has to believe the store at first sight:
 *
 *   warren identity 1
 *   node NODE
 *   identity KEY            Ed25519, 32 bytes in base64url
 *
 * signed by the CA's key: ECDSA with P-256 and SHA-256, r and s of 32 bytes each (IEEE P1363), 64 bytes in base64url. One CA is
 * one cluster, so that the statement needs not name it. It has no end: a node that is removed is one no more.
 */
export const statementLength = 64;

const textOf = (node: string, identity: string): Buffer =>
  Buffer.from(`warren identity 1\nnode ${node}\nidentity ${identity}\n`);

export function certifyIdentity({ key }: Pick<KeyPair, 'key'>, node: string, identity: string): string {
  return sign('sha256', textOf(node, identity), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url');
}

/** Did the CA with this public key say so? */
export function isCertified(ca: KeyObject, node: string, identity: string, statement: string): boolean {
  const bytes = Buffer.from(statement, 'base64url');
  if (bytes.length !== statementLength) return false;
  return verify('sha256', textOf(node, identity), { key: ca, dsaEncoding: 'ieee-p1363' }, bytes);
}
