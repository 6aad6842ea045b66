import { hkdfSync } from 'node:crypto';
import type { ClusterId, NodeId } from '../model/id.ts';
import { Secret } from '../model/secret.ts';
import type { Cipher } from './cipher.ts';
import type { Encap } from './encap.ts';
import type { ExchangeKey } from './exchange.ts';

/*
 * One key per direction: HKDF-SHA256 (RFC 5869) over the X25519 secret, without salt, 36 bytes: 32 of key, 4 of the
 * cipher's salt, as the kernel takes them (RFC 4106, RFC 7634). info is text, a fact a line:
 *   warren esp 1
 *   cluster CLUSTER
 *   from NODE GENERATION KEY        who sends
 *   to NODE GENERATION KEY          who receives
 *   cipher NAME
 *   encap esp|udp
 * The other direction has from and to exchanged. Both public halves are in it, so that one secret met under two pairs of
 * keys (X25519 has equivalent ones) gives two keys.
 */

const label = 'warren esp 1';
const keyLength = 36;

export type End = { readonly node: NodeId; readonly generation: number; readonly key: ExchangeKey };
export type Direction = { readonly cluster: ClusterId; readonly from: End; readonly to: End } & Agreed;
/** What both must have chosen alike. */
export type Agreed = { readonly cipher: Cipher; readonly encap: Encap };

export function deriveKey(shared: Secret, direction: Direction): Secret {
  return new Secret(new Uint8Array(hkdfSync('sha256', shared.reveal(), '', infoOf(direction), keyLength)));
}

export function infoOf({ cluster, from, to, cipher, encap }: Direction): string {
  const end = ({ node, generation, key }: End) => `${node} ${generation} ${key}`;
  return `${label}\ncluster ${cluster}\nfrom ${end(from)}\nto ${end(to)}\ncipher ${cipher}\nencap ${encap}\n`;
}
