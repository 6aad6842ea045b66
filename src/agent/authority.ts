import { type KeyObject, X509Certificate } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import type { IdentityKey } from '../keys/identity.ts';
import type { NodeId } from '../model/id.ts';
import { isCertified } from '../pki/statement.ts';
import type { PkiPaths } from './pki-files.ts';

/** The cluster's CA, as far as it says whose identity is whose. */
export class Authority {
  readonly #key: KeyObject;
  /** What was found to be certified of a node last, so that listing many costs no signatures. */
  readonly #found = new Map<NodeId, string>();
  /**
   * Everybody came in by a token, so that an identity the CA does not know is nobody's. Hosts that share a Redis of yours may
   * have come without one.
   */
  readonly required: boolean;

  private constructor(key: KeyObject, required: boolean) {
    this.#key = key;
    this.required = required;
  }

  /** undefined: this host came in without one. */
  static of({ caCertificate }: PkiPaths, required: boolean): Authority | undefined {
    if (!existsSync(caCertificate)) return undefined;
    return new Authority(new X509Certificate(readFileSync(caCertificate)).publicKey, required);
  }

  certifies(node: NodeId, identity: IdentityKey, statement: string | undefined): boolean {
    if (statement === undefined) return false;
    const said = `${identity} ${statement}`;
    if (this.#found.get(node) === said) return true;
    const certified = isCertified(this.#key, node, identity, statement);
    if (certified) this.#found.set(node, said);
    return certified;
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
