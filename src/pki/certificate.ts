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
import type { Role } from './token.ts';

/*
 * X.509 (RFC 5280) of one cluster: its CA signs a certificate for every node's own key, ECDSA with P-256 and SHA-256.
 *   CA      CN=warren CLUSTER                     20 years, path length 0
 *   node    O=manager|worker, CN=NODEID, SAN its addresses    90 days, client and server
 */
const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const day = 86_400_000;
const caDays = 20 * 365;
export const nodeDays = 90;

/** PEM (RFC 7468); the key PKCS #8. */
export type KeyPair = { certificate: string; key: string };
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

/** Whom a request is for and the key in it (SubjectPublicKeyInfo, hex of its SHA-256); throws unless whoever sent it has that key. */
export async function readRequest(pem: string): Promise<{ node: string; publicKey: string }> {
  const request = parse(() => new Pkcs10CertificateRequest(pem));
  if (!(await request.verify().catch(() => false))) throw malformed();
  const publicKey = Buffer.from(await request.publicKey.getThumbprint('SHA-256')).toString('hex');
  return { node: request.subjectName.getField('CN')[0] ?? '', publicKey };
}

/** Whose certificate it is and the hash of the key in it; undefined when this CA did not sign it. It may have expired. */
export async function holderOf(ca: KeyPair, pem: string): Promise<{ node: string; publicKey: string } | undefined> {
  const certificate = parse(() => new X509Certificate(pem));
  const { publicKey } = new X509Certificate(ca.certificate);
  if (!(await certificate.verify({ publicKey, signatureOnly: true }).catch(() => false))) return undefined;
  return {
    node: certificate.subjectName.getField('CN')[0] ?? '',
    publicKey: Buffer.from(await certificate.publicKey.getThumbprint('SHA-256')).toString('hex'),
  };
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

/** What part of its life is over: 0 new, 1 and more expired. */
export function age(pem: string, now: Date): number {
  const { notBefore, notAfter } = new X509Certificate(pem);
  return (now.getTime() - notBefore.getTime()) / (notAfter.getTime() - notBefore.getTime());
}

export const derOf = (pem: string): Uint8Array => new Uint8Array(new X509Certificate(pem).rawData);

/** PEM files follow one another in a chain, so each must end its line. */
const textOf = (made: { toString(format: 'pem'): string }): string => `${made.toString('pem')}\n`;

export function pemOf(what: string, der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return [`-----BEGIN ${what}-----`, ...lines, `-----END ${what}-----`, ''].join('\n');
}

/** Clocks of a cluster may differ by an hour. */
function lasting(days: number): { notBefore: Date; notAfter: Date } {
  const now = Date.now();
  return { notBefore: new Date(now - day / 24), notAfter: new Date(now + days * day) };
}

async function exportKey(key: webcrypto.CryptoKey): Promise<string> {
  return pemOf('PRIVATE KEY', Buffer.from(await webcrypto.subtle.exportKey('pkcs8', key)));
}

/** PKCS #8, PEM → DER. */
export function keyBytes(pem: string): Buffer {
  return Buffer.from(pem.replace(/-----.*-----|\s/g, ''), 'base64');
}

const importKey = (pem: string): Promise<webcrypto.CryptoKey> =>
  webcrypto.subtle.importKey('pkcs8', keyBytes(pem), algorithm, true, ['sign']);

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
