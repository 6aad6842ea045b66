import { createHash, timingSafeEqual } from 'node:crypto';
import { Secret } from '../model/secret.ts';
import type { Ends, Own, PairState } from './pair.ts';

/*
 * One pair's state as it waits in memory-backed /run for the next agent of the same boot:
 *   warren pair 1 \n
 *   JSON: boot, cluster, self, peer, state (own.private is true or absent) \n
 *   32 bytes, while our newest generation has not met the peer's: its private half
 *   32 bytes: SHA-256 of all before
 * Bytes and not text, because text cannot be wiped. Damaged, of another boot, pair or layout: it is none, and the pair
 * begins a new generation.
 */

const title = Buffer.from('warren pair 1\n');
const halfLength = 32;
const sumLength = 32;

type Place = { readonly boot: string; readonly ends: Ends };

export function formatSession({ boot, ends }: Place, state: PairState): Secret {
  const { private: half, ...own } = state.own;
  const document = {
    boot,
    cluster: ends.cluster,
    self: ends.self.id,
    peer: ends.peer.id,
    state: { ...state, own: half ? { ...own, private: true } : own },
  };
  const body = Buffer.concat([title, Buffer.from(`${JSON.stringify(document)}\n`), half?.reveal() ?? Buffer.alloc(0)]);
  const whole = new Secret(Buffer.concat([body, sumOf(body)]));
  body.fill(0);
  return whole;
}

export function parseSession({ boot, ends }: Place, bytes: Secret): PairState | undefined {
  const whole = bytes.reveal();
  const body = whole.subarray(0, Math.max(0, whole.length - sumLength));
  if (!title.equals(body.subarray(0, title.length))) return undefined;
  if (!timingSafeEqual(sumOf(body), whole.subarray(body.length))) return undefined;
  const end = body.indexOf(0x0a, title.length);
  const { state, ...place } = JSON.parse(Buffer.from(body.subarray(title.length, end)).toString());
  const here = { boot, cluster: ends.cluster, self: ends.self.id, peer: ends.peer.id };
  if (JSON.stringify(place) !== JSON.stringify(here)) return undefined;
  const own: Own = { ...state.own, private: undefined };
  if (!state.own.private) return { ...state, own };
  const half = body.slice(end + 1);
  return half.length === halfLength ? { ...state, own: { ...own, private: new Secret(half) } } : undefined;
}

function sumOf(body: Uint8Array): Buffer {
  return createHash('sha256').update(body).digest();
}
