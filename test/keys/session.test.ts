import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newExchange } from '../../src/keys/exchange.ts';
import type { PairState } from '../../src/keys/pair.ts';
import { formatSession, parseSession } from '../../src/keys/session.ts';
import type { ClusterId } from '../../src/model/id.ts';
import { Secret } from '../../src/model/secret.ts';
import { nodeId } from '../support/world.ts';

const ends = { cluster: 'clusteraaaaaaaaa' as ClusterId, self: { id: nodeId('a') }, peer: { id: nodeId('b') } };
const place = { boot: 'boot', ends };
const { key, private: half } = newExchange();
const abilities = { ciphers: ['aes-256-gcm' as const], fastAes: true };
const own: PairState['own'] = {
  number: 3,
  key,
  private: half,
  index: 1,
  abilities,
  encap: 'esp',
  created: '',
  madeAt: 5,
  reason: 'first',
  spent: false,
};
const state: PairState = { own, peer: undefined, sessions: [], failures: 2, blocked: true };
const bytes = (of: Secret) => Buffer.from(of.reveal());
const parse = (raw: Uint8Array, at = place) => parseSession(at, new Secret(Uint8Array.from(raw)));

test('a state goes to bytes and back, with its private half and without', () => {
  const saved = bytes(formatSession(place, state));
  assert.ok(saved.includes(Buffer.from(half.reveal())));
  const back = parse(saved) ?? assert.fail();
  assert.deepEqual(bytes(back.own.private ?? assert.fail()), Buffer.from(half.reveal()));
  assert.deepEqual({ ...back, own: { ...back.own, private: half } }, JSON.parse(JSON.stringify(state), withHalf));
  const without = { ...state, own: { ...state.own, private: undefined } };
  assert.equal(parse(bytes(formatSession(place, without)))?.own.private, undefined);
});

function withHalf(name: string, value: unknown): unknown {
  return name === 'private' ? half : value;
}

test('damaged, cut short, of another boot, cluster or pair: it is none', () => {
  const saved = bytes(formatSession(place, state));
  for (let i = 0; i < saved.length; i++) {
    const damaged = Buffer.from(saved);
    damaged[i] = (damaged[i] ?? 0) ^ 1;
    assert.equal(parse(damaged), undefined, `at ${i}`);
    assert.equal(parse(saved.subarray(0, i)), undefined, `${i} bytes`);
  }
  assert.equal(parse(saved, { ...place, boot: 'other' }), undefined);
  assert.equal(parse(saved, { ...place, ends: { ...ends, cluster: 'clusterbbbbbbbbb' as ClusterId } }), undefined);
  assert.equal(parse(saved, { ...place, ends: { ...ends, peer: { id: nodeId('c') } } }), undefined);
});
