import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import { newCa, newRequest, nodeDays, readCertificate, readRequest, sign } from '../../src/pki/certificate.ts';
import { age, derOf } from '../../src/pki/pem.ts';
import { fingerprintOf, newTokenId, parseToken, tokenOf, verifyToken } from '../../src/pki/token.ts';

const node = 'abcdefghijklmnop';
const subject = { node, role: 'worker', addresses: ['192.0.2.1', 'fd77::1'] } as const;

test('a certificate says who, which role and which addresses; OpenSSL takes it for the CA’s', async () => {
  const ca = await newCa('test');
  const { request, key } = await newRequest(node);
  const text = await sign(ca, request, subject);
  const [certificate, issuer] = [new X509Certificate(text), new X509Certificate(ca.certificate)];
  assert.ok(certificate.verify(issuer.publicKey) && certificate.checkIssued(issuer));
  assert.equal(certificate.subject, `O=worker\nCN=${node}`);
  assert.equal(certificate.checkIP('192.0.2.1'), '192.0.2.1');
  assert.equal(certificate.checkIP('fd77::1'), 'fd77::1');
  assert.deepEqual([issuer.ca, certificate.ca], [true, false]);
  assert.match(key, /PRIVATE KEY-----\n$/);
  const later = new Date(Date.now() + nodeDays * 86_400_000);
  assert.ok(age(text, new Date()) < 0.01 && age(text, later) >= 0.99);
});

test('the holder of a certificate is who its CA signed it for, and has the request’s key', async () => {
  const [ca, other] = [await newCa('test'), await newCa('test')];
  const first = await newRequest(node);
  const text = await sign(ca, first.request, subject);
  const holder = await readCertificate(ca, text);
  assert.equal(holder?.node, node);
  assert.equal(await readCertificate(other, text), undefined);
  const again = await readRequest((await newRequest(node, first.key)).request);
  assert.deepEqual({ ...again, role: 'worker' }, holder);
  assert.notEqual((await readRequest((await newRequest(node)).request)).key, holder?.key);
});

test('a request that somebody changed is refused', async () => {
  const { request } = await newRequest(node);
  const der = derOf(request);
  der[der.length - 1] = (der.at(-1) ?? 0) ^ 1;
  const pem = `-----BEGIN CERTIFICATE REQUEST-----\n${der.toString('base64')}\n-----END CERTIFICATE REQUEST-----\n`;
  await assert.rejects(readRequest(pem), /no certificate, or no request/);
  await assert.rejects(readRequest('nonsense'), /no certificate, or no request/);
});

test('a token is what its CA makes of role and id, and nothing else', async () => {
  const ca = await newCa('test');
  const id = newTokenId();
  const text = tokenOf('worker', id, ca);
  assert.equal(text, tokenOf('worker', id, ca));
  const token = parseToken(` ${text}\n`);
  assert.deepEqual([token.role, token.id, token.fingerprint], ['worker', id, fingerprintOf(derOf(ca.certificate))]);
  verifyToken(token, ca);
  const other = await newCa('test');
  const forged = [
    { ...token, role: 'manager' as const },
    { ...token, id: newTokenId() },
    { ...token, secret: 'a'.repeat(26) },
  ];
  for (const each of forged) assert.throws(() => verifyToken(each, ca), /not one of this cluster/);
  assert.throws(() => verifyToken(token, other), /not one of this cluster/);
  for (const bad of ['', 'x', text.toUpperCase(), `${text}a`, text.slice(1)])
    assert.throws(
      () => parseToken(bad),
      (error: Error) => !error.message.includes(token.secret) && /no join token/.test(error.message),
    );
});
