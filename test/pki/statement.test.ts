/** Whose identity is whose, by the CA's word instead of the store's. */
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Authority, ownStatement } from '../../src/agent/authority.ts';
import { Pins } from '../../src/agent/pins.ts';
import { pkiPaths } from '../../src/agent/pki-files.ts';
import { newIdentity } from '../../src/keys/identity.ts';
import { newCa } from '../../src/pki/certificate.ts';
import { certifyIdentity, isCertified, statementLength } from '../../src/pki/statement.ts';
import { nodeId } from '../support/world.ts';

const [a, b] = [nodeId('a'), nodeId('b')];
const ca = await newCa('ours');
const keyOf = (certificate: string) => new X509Certificate(certificate).publicKey;
const key = keyOf(ca.certificate);

test('a statement is the CA’s, of one node and one identity', async () => {
  const [one, two] = [newIdentity().key, newIdentity().key];
  const said = certifyIdentity(ca, a, one);
  assert.equal(Buffer.from(said, 'base64url').length, statementLength);
  assert.equal(isCertified(key, a, one, said), true);
  const flipped = Buffer.from(said, 'base64url');
  flipped[7] = (flipped[7] ?? 0) ^ 1;
  for (const [why, bad] of Object.entries({
    'of another node': isCertified(key, b, one, said),
    'of another identity': isCertified(key, a, two, said),
    'by another CA': isCertified(keyOf((await newCa('ours')).certificate), a, one, said),
    forged: isCertified(key, a, one, flipped.toString('base64url')),
    'cut short': isCertified(key, a, one, said.slice(0, -4)),
    empty: isCertified(key, a, one, ''),
  }))
    assert.equal(bad, false, why);
});

test('its bytes are what other versions sign', () => {
  const text = readFileSync(new URL('../golden/keys/statement.txt', import.meta.url), 'utf8');
  const [, certificate = '', node = '', identity = '', said = ''] =
    /^(.*-----\n)node (\S+)\nidentity (\S+)\nstatement (\S+)\n$/s.exec(text) ?? [];
  assert.equal(isCertified(keyOf(certificate), node, identity, said), true);
});

test('who is pinned: with a CA that all came in by, only who is certified; the CA’s word beats the first sight', (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'warren-pins-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const pki = pkiPaths(dir);
  assert.equal(Authority.of(pki, true), undefined, 'a host without a CA');
  mkdirSync(pki.folder);
  writeFileSync(pki.caCertificate, ca.certificate);
  const [one, two, three] = [newIdentity().key, newIdentity().key, newIdentity().key];
  const said = certifyIdentity(ca, a, one);
  const strict = new Pins(join(dir, 'strict'), Authority.of(pki, true));
  assert.equal(strict.judge(a, one, undefined), 'identity_uncertified');
  assert.equal(strict.judge(a, two, said), 'identity_uncertified');
  assert.equal(strict.judge(a, one, said), undefined);
  assert.equal(strict.judge(a, one, undefined), undefined, 'it is known by now');
  assert.equal(strict.judge(a, two, said), 'identity_changed');
  assert.equal(strict.judge(b, one, certifyIdentity(ca, b, one)), 'identity_shared');
  assert.equal(strict.judge(a, three, certifyIdentity(ca, a, three)), undefined, 'certified anew');
  assert.equal(new Pins(join(dir, 'strict'), undefined).get(a), three);
  const open = new Pins(join(dir, 'open'), Authority.of(pki, false));
  assert.equal(open.judge(a, two, undefined), undefined, 'the first one seen');
  assert.equal(open.judge(a, three, undefined), 'identity_changed');
  assert.equal(open.judge(a, one, said), undefined, 'the right one, for the CA says so');
  const none = new Pins(join(dir, 'none'), undefined);
  assert.equal(none.judge(a, one, undefined), undefined);
  assert.equal(none.judge(a, two, certifyIdentity(ca, a, two)), 'identity_changed', 'whose CA?');
  writeFileSync(pki.statement, `${said}\n`);
  assert.equal(ownStatement(pki, Authority.of(pki, true), a, one), said);
  assert.equal(ownStatement(pki, Authority.of(pki, true), a, two), undefined, 'said of an identity it has no more');
});
