import assert from 'node:assert/strict';
import { createPrivateKey } from 'node:crypto';
import { test } from 'node:test';
import type { Announcement } from '../../src/keys/announcement.ts';
import { announce, follows, verifyAnnouncement } from '../../src/keys/announcement.ts';
import { ciphers } from '../../src/keys/cipher.ts';
import { deriveKey, infoOf } from '../../src/keys/derive.ts';
import { encaps } from '../../src/keys/encap.ts';
import type { ExchangeKey } from '../../src/keys/exchange.ts';
import { exchangeKeyOf, newExchange, sharedSecret } from '../../src/keys/exchange.ts';
import type { IdentityKey } from '../../src/keys/identity.ts';
import { fingerprint, Identity, importIdentity, isBytesText, newIdentity } from '../../src/keys/identity.ts';
import { judgeIdentity } from '../../src/keys/pin.ts';
import { lastIndex, lookAlike, packSpi, unpackSpi } from '../../src/keys/spi.ts';
import type { ClusterId } from '../../src/model/id.ts';
import { Secret } from '../../src/model/secret.ts';
import { golden } from '../support/golden.ts';
import { nodeId } from '../support/world.ts';

/** What two nodes must agree on, byte by byte. `UPDATE_GOLDEN=1` writes it anew: then nodes of two versions cannot talk. */
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const base64 = (text: string) => Buffer.from(text, 'hex').toString('base64url');
const cluster = 'clusteraaaaaaaaa' as ClusterId;
const [a, b, c] = [nodeId('a'), nodeId('b'), nodeId('c')];

// RFC 7748, 6.1: Alice and Bob.
const aliceHalf = () => secret('77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a');
const bobHalf = () => secret('5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb');
const bobKey = base64('de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f') as ExchangeKey;
const secret = (text: string) => new Secret(Uint8Array.from(Buffer.from(text, 'hex')));

// RFC 8032, 7.1: TEST 1 and TEST 2.
const identityOf = (seed: string) =>
  new Identity(
    createPrivateKey({
      key: Buffer.from(`302e020100300506032b657004220420${seed}`, 'hex'),
      format: 'der',
      type: 'pkcs8',
    }),
  );
const one = identityOf('9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60');
const two = identityOf('4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb');

const saying = {
  index: 1,
  generation: 7,
  key: exchangeKeyOf(aliceHalf()),
  abilities: { ciphers, fastAes: true },
  encap: encaps[0],
  created: '2026-01-02T03:04:05.678Z',
};
const ends = { cluster, from: a, to: b };
const expected = { ...ends, index: 1 };
const heard = { generation: 513, key: bobKey, stage: 'ready' } as const;

test('X25519 is that of RFC 7748', () => {
  assert.equal(exchangeKeyOf(aliceHalf()), base64('8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a'));
  assert.equal(exchangeKeyOf(bobHalf()), bobKey);
  const shared = '4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742';
  assert.equal(hex(sharedSecret(aliceHalf(), bobKey)?.reveal() ?? assert.fail()), shared);
  assert.equal(hex(sharedSecret(bobHalf(), exchangeKeyOf(aliceHalf()))?.reveal() ?? assert.fail()), shared);
  const { key, private: half } = newExchange();
  assert.ok(isBytesText(key, 32));
  assert.equal(exchangeKeyOf(half), key);
});

test('a key of small order, and our own come back, are refused', () => {
  const orders = [
    '00'.repeat(32),
    `01${'00'.repeat(31)}`,
    'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
    '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
    `ec${'ff'.repeat(30)}7f`,
    `ed${'ff'.repeat(30)}7f`,
    `ee${'ff'.repeat(30)}7f`,
  ];
  for (const order of orders) assert.equal(sharedSecret(bobHalf(), base64(order) as ExchangeKey), undefined, order);
  assert.equal(sharedSecret(bobHalf(), bobKey), undefined);
});

test('derivation', () => {
  const lines: string[] = [];
  const shared = sharedSecret(aliceHalf(), bobKey) ?? assert.fail();
  lines.push(`X25519 ${hex(shared.reveal())}`);
  const alice = { node: a, generation: 7, key: exchangeKeyOf(aliceHalf()) };
  const bob = { node: b, generation: 513, key: bobKey };
  const keys = new Set<string>();
  const agreed = ciphers.flatMap((cipher) => encaps.map((encap) => ({ cipher, encap })));
  for (const choice of agreed) {
    for (const [from, to] of [
      [alice, bob],
      [bob, alice],
    ] as const) {
      const direction = { cluster, from, to, ...choice };
      const key = hex(deriveKey(shared, direction).reveal());
      keys.add(key);
      lines.push('', infoOf(direction).trimEnd(), `key  ${key.slice(0, 64)}`, `salt ${key.slice(64)}`);
    }
  }
  assert.equal(keys.size, 8);
  golden('keys/derivation', `${lines.join('\n')}\n`);
});

test('every input of the derivation makes another key', () => {
  const shared = secret('11'.repeat(32));
  const from = { node: a, generation: 7, key: exchangeKeyOf(aliceHalf()) };
  const to = { node: b, generation: 8, key: bobKey };
  const base = { cluster, from, to, cipher: ciphers[0], encap: encaps[0] };
  const others = [
    base,
    { ...base, cluster: 'clusterbbbbbbbbb' as ClusterId },
    { ...base, from: { ...from, node: c } },
    { ...base, to: { ...to, node: c } },
    { ...base, from: { ...from, generation: 8 } },
    { ...base, from: { ...from, generation: 7 + 512 } },
    { ...base, to: { ...to, generation: 7 } },
    { ...base, from: { ...from, key: bobKey } },
    { ...base, to: { ...to, key: from.key } },
    { ...base, from: to, to: from },
    { ...base, cipher: ciphers[1] },
    { ...base, encap: encaps[1] },
  ];
  const keys = others.map((direction) => hex(deriveKey(shared, direction).reveal()));
  assert.equal(new Set(keys).size, others.length);
  assert.notEqual(hex(deriveKey(secret('22'.repeat(32)), base).reveal()), keys[0]);
});

test('SPIs', () => {
  const cases = [
    { index: 1, sender: 0, receiver: 0 },
    { index: 1, sender: 1, receiver: 1 },
    { index: 1, sender: 511, receiver: 511 },
    { index: 1, sender: 512, receiver: 1025 },
    { index: 2, sender: 7, receiver: 513 },
    { index: lastIndex, sender: 511, receiver: 511 },
    { index: lastIndex, sender: 2 ** 48 + 3, receiver: 2 ** 48 + 4 },
  ];
  const lines = cases.map((spi) => {
    const packed = packSpi(spi);
    assert.ok(packed >= 256 && packed <= 0xffffffff);
    const back = unpackSpi(packed);
    assert.deepEqual(back, { index: spi.index, sender: spi.sender % 512, receiver: spi.receiver % 512 });
    return `index ${spi.index} sender ${spi.sender} receiver ${spi.receiver}: 0x${packed.toString(16).padStart(8, '0')}`;
  });
  golden('keys/spi', `${lines.join('\n')}\n`);
  for (const index of [0, -1, 1.5, lastIndex + 1]) assert.throws(() => packSpi({ index, sender: 1, receiver: 1 }));
  assert.ok(lookAlike(1, 513) && !lookAlike(1, 512));
});

test('announcements and fingerprints', () => {
  const texts = [
    announce(one, ends, saying),
    announce(one, ends, { ...saying, heard }),
    announce(
      two,
      { ...ends, from: b, to: a },
      {
        ...saying,
        index: lastIndex,
        abilities: { ciphers: ['chacha20-poly1305'], fastAes: false },
        encap: 'udp',
        heard: { ...heard, stage: 'moved' },
      },
    ),
  ];
  golden(
    'keys/announcement',
    `${texts.join('\n')}\n${[one, two].map(({ key }) => `${key} ${fingerprint(key)}\n`).join('')}`,
  );
  const verdict = verifyAnnouncement(texts[1] ?? '', expected);
  assert.deepEqual(verdict, { ok: true, announcement: { ...ends, ...saying, heard, identity: one.key } });
});

test('whatever is changed in an announcement, or where it stands, is refused', () => {
  const good = announce(one, ends, { ...saying, heard });
  const reason = (text: string, place = expected) => {
    const verdict = verifyAnnouncement(text, place);
    return verdict.ok ? 'ok' : verdict.reason;
  };
  assert.equal(reason(good), 'ok');
  for (let i = 0; i < good.length; i++) {
    const char = good[i] === 'a' ? 'b' : 'a';
    const changed = good.slice(0, i) + char + good.slice(i + 1);
    assert.match(reason(changed), /^(malformed|bad_signature)$/, `at ${i}: ${changed}`);
  }
  assert.equal(reason(`${good}\n`), 'malformed');
  assert.equal(reason(good.replaceAll('\n', '\r\n')), 'malformed');
  assert.equal(reason(good.replace(/signature .*/, `signature ${'A'.repeat(86)}`)), 'bad_signature');
  // Another spelling of the same 32 bytes, signed by its sender.
  const spelled = announce(one, ends, {
    ...saying,
    key: `${saying.key.slice(0, -1)}${next(saying.key)}` as ExchangeKey,
  });
  assert.equal(reason(spelled), 'malformed');
  // Signed by another, in the name of the first.
  const stolen = { key: one.key, sign: (bytes: Uint8Array) => two.sign(bytes) } as Identity;
  assert.equal(reason(announce(stolen, ends, saying)), 'bad_signature');
  const places = [{ cluster: 'clusterbbbbbbbbb' as ClusterId }, { from: c }, { to: c }, { index: 2 }];
  for (const place of places) assert.equal(reason(good, { ...expected, ...place }), 'misplaced');
});

/** The same six bits of the last character, other padding. */
function next(key: string): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  return alphabet[alphabet.indexOf(key.at(-1) ?? '') + 1] ?? assert.fail();
}

test('announcements only go forward', () => {
  const said = (fields: Partial<Announcement>): Announcement => ({ ...ends, ...saying, identity: one.key, ...fields });
  const at = (generation: number, stage: 'known' | 'ready' | 'moved') => ({
    heard: { generation, key: bobKey, stage },
  });
  const line = [
    said({}),
    said(at(1, 'known')),
    said(at(1, 'ready')),
    said(at(1, 'moved')),
    said(at(2, 'known')),
    said({ generation: 8 }),
    said({ generation: 8, ...at(2, 'moved') }),
  ];
  line.forEach((known, i) => {
    line.forEach((then, j) => {
      assert.equal(follows(known, then), i === j ? 'same' : i < j ? 'newer' : 'older', `${i} then ${j}`);
    });
  });
  assert.equal(follows(undefined, line[3] ?? assert.fail()), 'newer');
  const first = line[2] ?? assert.fail();
  assert.equal(follows(first, { ...first, key: bobKey }), 'contradictory');
  assert.equal(follows(first, { ...first, index: 2 }), 'contradictory');
  assert.equal(follows(first, { ...first, abilities: { ciphers, fastAes: false } }), 'contradictory');
  assert.equal(follows(first, { ...first, encap: 'udp' }), 'contradictory');
  assert.equal(follows(first, said({ heard: { generation: 1, key: saying.key, stage: 'ready' } })), 'contradictory');
  assert.equal(follows(first, { ...first, generation: 9, identity: two.key }), 'identity_changed');
});

test('the first identity seen is the one a node has', () => {
  const pins = new Map([[a, one.key]]);
  assert.equal(judgeIdentity(pins, a, one.key), 'accept');
  assert.equal(judgeIdentity(pins, a, two.key), 'identity_changed');
  assert.equal(judgeIdentity(pins, b, two.key), 'pin');
  assert.equal(judgeIdentity(pins, b, one.key), 'identity_shared');
});

test('an identity goes to bytes and back, and prints nothing of them', async () => {
  const identity = newIdentity();
  const bytes = identity.export();
  const raw = Buffer.from(bytes.reveal().subarray(16));
  assert.equal(raw.length, 32);
  assert.equal(importIdentity(bytes).key, identity.key);
  const { inspect } = await import('node:util');
  const shown = inspect(identity, { depth: 9, showHidden: true }) + JSON.stringify(identity);
  for (const form of ['hex', 'base64', 'base64url'] as const) assert.ok(!shown.includes(raw.toString(form)));
  assert.throws(() => importIdentity(secret('00'.repeat(48))));
  const x25519 = Buffer.concat([Buffer.from('302e020100300506032b656e04220420', 'hex'), raw]);
  assert.throws(() => importIdentity(new Secret(Uint8Array.from(x25519))), /not an Ed25519 key/);
  assert.match(fingerprint(identity.key as IdentityKey), /^[a-z2-7]{4}(-[a-z2-7]{4}){3}$/);
});
