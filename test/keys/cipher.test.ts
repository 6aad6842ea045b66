import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Abilities } from '../../src/keys/cipher.ts';
import { chooseCipher, hasFastAes } from '../../src/keys/cipher.ts';

const entry = (name: string, driver: string, priority: number, internal = 'no') =>
  `name         : ${name}\ndriver       : ${driver}\nmodule       : kernel\npriority     : ${priority}\ninternal     : ${internal}\ntype         : aead\n`;
const text = (...entries: string[]) => entries.join('\n');
const withAes = 'processor\t: 0\nflags\t\t: fpu sse2 aes avx\n';
const without = 'processor\t: 0\nflags\t\t: fpu sse2 vaes_not avx\n';

test('the driver that wins tells; the processor only where the kernel lists none', () => {
  const generic = entry('rfc4106(gcm(aes))', 'rfc4106(gcm_base(ctr(aes-generic),ghash-generic))', 100);
  const cases: [string, string, boolean][] = [
    [text(generic), withAes, false],
    [text(generic, entry('rfc4106(gcm(aes))', 'rfc4106-gcm-aesni', 400)), without, true],
    [text(entry('rfc4106(gcm(aes))', 'rfc4106-gcm-vaes-avx10_512', 800), generic), without, true],
    [text(generic, entry('rfc4106(gcm(aes))', '__rfc4106-gcm-aesni', 400, 'yes')), withAes, false],
    [text(entry('rfc4106(gcm(aes))', 'rfc4106(gcm_base(ctr(aes-fixed-time),ghash-generic))', 101)), withAes, false],
    [text(entry('gcm(aes)', 'gcm-aes-ce', 300)), '', true],
    [text(entry('cbc(aes)', 'cbc-aes-aesni', 400)), without, false],
    [text(entry('cbc(aes)', 'cbc-aes-generic', 100)), withAes, true],
    ['', withAes, true],
    ['', 'Features\t: fp asimd aes pmull\n', true],
    ['', 'Features\t: fp asimd\n', false],
    ['', '', false],
  ];
  for (const [crypto, cpuinfo, fast] of cases) assert.equal(hasFastAes(crypto, cpuinfo), fast, crypto + cpuinfo);
});

test('both sides choose the same', () => {
  const [aes, chacha] = ['aes-256-gcm', 'chacha20-poly1305'] as const;
  const fast: Abilities = { ciphers: [aes, chacha], fastAes: true };
  const slow: Abilities = { ciphers: [aes, chacha], fastAes: false };
  const only = (cipher: typeof aes | typeof chacha, fastAes = true): Abilities => ({ ciphers: [cipher], fastAes });
  const cases: [Abilities, Abilities, string | undefined][] = [
    [fast, fast, aes],
    [fast, slow, chacha],
    [slow, slow, chacha],
    [fast, only(chacha), chacha],
    [slow, only(aes, false), aes],
    [only(aes), only(chacha), undefined],
  ];
  for (const [ours, theirs, cipher] of cases) {
    assert.equal(chooseCipher(ours, theirs), cipher);
    assert.equal(chooseCipher(theirs, ours), cipher);
  }
});
