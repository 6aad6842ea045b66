import 'reflect-metadata'; // what @peculiar/x509 is built on
import { webcrypto } from 'node:crypto';
import { isIP } from 'node:net';
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  Pkcs10CertificateRequest,
  Pkcs10CertificateRequestGenerator,
  SubjectAlternativeNameExtension,
  X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509';
import { WarrenError } from '../model/error.ts';
import type { Role } from '../model/node.ts';
import { derOf, type KeyPair, pemOf } from './pem.ts';

/*
 * X.509 (RFC 5280) of one cluster: its CA signs a certificate for every node's own key, ECDSA with P-256 and SHA-256.
 *   CA      CN=warren CLUSTER                     20 years, path length 0
 *   node    O=manager|worker, CN=NODEID, SAN its addresses    90 days, client and server
 */
const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const day = 86_400_000;
const caDays = 20 * 365;
export const nodeDays = 90;

/** `key`: SHA-256 of its SubjectPublicKeyInfo, hex. */
export type Holder = { node: string; key: string };
export type Subject = { node: string; role: Role; addresses: readonly string[] };

export async function newCa(cluster: string): Promise<KeyPair> {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: [{ CN: [`warren ${cluster}`] }],
    ...lasting(caDays),
    signingAlgorithm: algorithm,
    keys,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
    ],
  });
  return { certificate: textOf(certificate), key: await exportKey(keys.privateKey) };
}

/** A node's request (PKCS #10, RFC 2986): signed with the key it is for, which stays where it is. Makes that key unless given. */
export async function newRequest(node: string, known?: string): Promise<{ request: string; key: string }> {
  const keys = known
    ? await importPair(known)
    : await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const request = await Pkcs10CertificateRequestGenerator.create({
    name: [{ CN: [node] }],
    keys,
    signingAlgorithm: algorithm,
  });
  return { request: textOf(request), key: known ?? (await exportKey(keys.privateKey)) };
}

/** Who sent a request, by the key in it; throws unless whoever made it has that key. */
export async function readRequest(pem: string): Promise<Holder> {
  const request = parse(() => new Pkcs10CertificateRequest(pem));
  if (!(await request.verify().catch(() => false))) throw malformed();
  return holder(request);
}

/** Whose certificate it is, and in which role; undefined when this CA did not sign it. It may have expired. */
export async function readCertificate(ca: KeyPair, pem: string): Promise<(Holder & { role: Role }) | undefined> {
  const certificate = parse(() => new X509Certificate(pem));
  const { publicKey } = new X509Certificate(ca.certificate);
  if (!(await certificate.verify({ publicKey, signatureOnly: true }).catch(() => false))) return undefined;
  const role = certificate.subjectName.getField('O')[0] === 'manager' ? 'manager' : 'worker';
  return { ...(await holder(certificate)), role };
}

async function holder({ subjectName, publicKey }: Pkcs10CertificateRequest | X509Certificate): Promise<Holder> {
  const key = Buffer.from(await publicKey.getThumbprint('SHA-256')).toString('hex');
  return { node: subjectName.getField('CN')[0] ?? '', key };
}

/** Only the key is taken from the request: who somebody is, the signer says. */
export async function sign(ca: KeyPair, pem: string, { node, role, addresses }: Subject): Promise<string> {
  const issuer = new X509Certificate(ca.certificate);
  const request = parse(() => new Pkcs10CertificateRequest(pem));
  const certificate = await X509CertificateGenerator.create({
    subject: [{ O: [role] }, { CN: [node] }],
    issuer: issuer.subject,
    ...lasting(nodeDays),
    publicKey: request.publicKey,
    signingKey: await importKey(ca.key),
    signingAlgorithm: algorithm,
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth]),
      new SubjectAlternativeNameExtension(
        addresses.filter((address) => isIP(address)).map((value) => ({ type: 'ip' as const, value })),
      ),
    ],
  });
  return textOf(certificate);
}

/** PEM files follow one another in a chain, so each must end its line. */
const textOf = (made: { toString(format: 'pem'): string }): string => `${made.toString('pem')}\n`;

/** Clocks of a cluster may differ by an hour. */
function lasting(days: number): { notBefore: Date; notAfter: Date } {
  const now = Date.now();
  return { notBefore: new Date(now - day / 24), notAfter: new Date(now + days * day) };
}

async function exportKey(key: webcrypto.CryptoKey): Promise<string> {
  return pemOf('PRIVATE KEY', Buffer.from(await webcrypto.subtle.exportKey('pkcs8', key)));
}

const importKey = (pem: string): Promise<webcrypto.CryptoKey> =>
  webcrypto.subtle.importKey('pkcs8', derOf(pem), algorithm, true, ['sign']);

async function importPair(pem: string): Promise<webcrypto.CryptoKeyPair> {
  const privateKey = await importKey(pem);
  const { d: _, key_ops: __, ...open } = await webcrypto.subtle.exportKey('jwk', privateKey);
  return { privateKey, publicKey: await webcrypto.subtle.importKey('jwk', open, algorithm, true, ['verify']) };
}

function parse<T>(read: () => T): T {
  try {
    return read();
  } catch {
    throw malformed();
  }
}

const malformed = (): WarrenError => new WarrenError('invalid_input', 'that is no certificate, or no request for one');
