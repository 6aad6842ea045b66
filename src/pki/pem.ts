import { X509Certificate } from 'node:crypto';

/*
 * Certificates and keys as files have them (PEM, RFC 7468), without the library that makes them: that takes 26 MB, and what
 * runs all day only reads.
 */

/** A certificate, and its private key (PKCS #8). */
export type KeyPair = { certificate: string; key: string };

export function pemOf(what: string, der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return [`-----BEGIN ${what}-----`, ...lines, `-----END ${what}-----`, ''].join('\n');
}

/** Of one document. */
export function derOf(pem: string): Buffer {
  return Buffer.from(pem.replace(/-----.*-----|\s/g, ''), 'base64');
}

/** What part of a certificate's life is over: 0 new, 1 and more expired. */
export function age(pem: string, now: Date): number {
  const { validFrom, validTo } = new X509Certificate(pem);
  const [begin, end] = [Date.parse(validFrom), Date.parse(validTo)];
  return (now.getTime() - begin) / (end - begin);
}
