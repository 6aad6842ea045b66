import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { KeyPair } from '../pki/pem.ts';
import { certifyIdentity } from '../pki/statement.ts';
import { writePrivate } from './private-file.ts';

/*
 * STATE-DIR/pki/
 *   ca.crt  node.crt  node.key     every host that joined, or made the cluster
 *   node.identity                  what the CA says of this host's identity (pki/statement.ts)
 *   store-ca.crt                   whose certificate a store of the user's own has, where the cluster's CA is another
 *   ca.key                         managers only: whoever has it says who is in the cluster
 */
export type PkiPaths = Record<
  'folder' | 'caCertificate' | 'caKey' | 'storeCa' | 'certificate' | 'key' | 'statement',
  string
>;

export function pkiPaths(stateDir: string): PkiPaths {
  const folder = join(stateDir, 'pki');
  const at = (name: string) => join(folder, name);
  return {
    ...{ folder, caCertificate: at('ca.crt'), caKey: at('ca.key'), storeCa: at('store-ca.crt') },
    ...{ certificate: at('node.crt'), key: at('node.key'), statement: at('node.identity') },
  };
}

/** The cluster's CA, where this host has its key. */
export function readCa({ caCertificate, caKey }: PkiPaths): KeyPair | undefined {
  return existsSync(caKey)
    ? { certificate: readFileSync(caCertificate, 'utf8'), key: readFileSync(caKey, 'utf8') }
    : undefined;
}

/** Where a cluster begins: its CA, and a certificate for the first manager. What is there already stays. */
export async function makePki(
  paths: PkiPaths,
  cluster: string,
  { node, identity, addresses }: { node: string; identity: string; addresses: readonly string[] },
): Promise<KeyPair> {
  const { newCa, newRequest, sign } = await import('../pki/certificate.ts');
  const ca = readCa(paths) ?? (await newCa(cluster));
  writePrivate(paths.caCertificate, ca.certificate);
  writePrivate(paths.caKey, ca.key);
  const known = existsSync(paths.key) ? readFileSync(paths.key, 'utf8') : undefined;
  const { request, key } = await newRequest(node, known);
  writePrivate(paths.key, key);
  writePrivate(paths.certificate, await sign(ca, request, { node, role: 'manager', addresses }));
  writePrivate(paths.statement, certifyIdentity(ca, node, identity));
  return ca;
}

/** What a joining host was given. */
export function writePki(
  paths: PkiPaths,
  given: Record<'ca' | 'certificate' | 'key' | 'statement', string> & {
    caKey?: string | undefined;
    storeCa?: string | undefined;
  },
): void {
  writePrivate(paths.caCertificate, given.ca);
  if (given.caKey !== undefined) writePrivate(paths.caKey, given.caKey);
  if (given.storeCa !== undefined) writePrivate(paths.storeCa, given.storeCa);
  writePrivate(paths.key, given.key);
  writePrivate(paths.certificate, given.certificate);
  writePrivate(paths.statement, given.statement);
}

/** For a store of our own: it and its clients know each other by the cluster's CA. */
export const tlsOf = ({ caCertificate, certificate, key }: PkiPaths): { ca: string; cert: string; key: string } => ({
  ca: caCertificate,
  cert: certificate,
  key,
});

export const removePki = ({ folder }: PkiPaths): void => rmSync(folder, { recursive: true, force: true });
