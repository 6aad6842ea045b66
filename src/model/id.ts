import { randomBytes } from 'node:crypto';
import { alphabet, base32 } from './base32.ts';

/** 16 lower-case base32 characters (RFC 4648 alphabet), 80 random bits. */
export type Id<Noun extends string> = string & { readonly __noun: Noun };
export type ClusterId = Id<'cluster'>;
export type NodeId = Id<'node'>;
export type NetworkId = Id<'network'>;
export type EndpointId = Id<'endpoint'>;
export type ServiceId = Id<'service'>;

export const idPattern = /^[a-z2-7]{16}$/;

/** A new random id; ids are never reused, names may be. */
export function newId<Noun extends string>(): Id<Noun> {
  return base32(randomBytes(10)) as Id<Noun>;
}

/** The first `count` bytes (at most 10) an id stands for; MAC addresses are made from them. */
export function idBytes(id: string, count: number): number[] {
  let bits = 0n;
  for (const char of id) bits = (bits << 5n) | BigInt(alphabet.indexOf(char));
  return Array.from({ length: count }, (_, i) => Number((bits >> BigInt(72 - 8 * i)) & 0xffn));
}
