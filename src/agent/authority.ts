import { existsSync, readFileSync } from 'node:fs';
import type { IdentityKey } from '../keys/identity.ts';
import type { NodeId } from '../model/id.ts';
import { isCertified } from '../pki/statement.ts';
import type { PkiPaths } from './pki-files.ts';

/** The cluster's CA, as far as it says whose identity is whose. */
export class Authority {
  readonly #certificate: string;
  /**
   * Everybody came in by a token, so that an identity the CA does not know is nobody's. Hosts that share a Redis of yours may
   * have come without one.
   */
  readonly required: boolean;

  private constructor(certificate: string, required: boolean) {
    this.#certificate = certificate;
    this.required = required;
  }

  /** undefined: this host came in without one. */
  static of({ caCertificate }: PkiPaths, required: boolean): Authority | undefined {
    return existsSync(caCertificate) ? new Authority(readFileSync(caCertificate, 'utf8'), required) : undefined;
  }

  certifies(node: NodeId, identity: IdentityKey, statement: string | undefined): boolean {
    return statement !== undefined && isCertified(this.#certificate, node, identity, statement);
  }
}

/** What the CA said of this host; of another identity than it has now it says nothing. */
export function ownStatement(
  { statement }: PkiPaths,
  authority: Authority | undefined,
  node: NodeId,
  identity: IdentityKey,
): string | undefined {
  const text = existsSync(statement) ? readFileSync(statement, 'utf8').trim() : undefined;
  return authority?.certifies(node, identity, text) ? text : undefined;
}
