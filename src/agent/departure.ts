import { readFileSync } from 'node:fs';
import type { NodeId } from '../model/id.ts';
import { newRequest } from '../pki/certificate.ts';
import { left } from './join-protocol.ts';
import { askOneOf, type Manager } from './manager-client.ts';
import type { PkiPaths } from './pki-files.ts';

/** Has a manager end this host's user of the store, which the host, a worker, may not do itself. Throws when none does. */
export async function giveBack(pki: PkiPaths, node: NodeId, managers: readonly Manager[]): Promise<void> {
  const { request } = await newRequest(node, readFileSync(pki.key, 'utf8'));
  const proof = { certificate: readFileSync(pki.certificate, 'utf8'), request };
  await askOneOf(managers, readFileSync(pki.caCertificate, 'utf8'), '/v1/leave', proof, left);
}
