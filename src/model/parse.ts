import * as z from 'zod';
import { WarrenError } from './error.ts';
import type { Cidr, Ip, Mac } from './ip.ts';
import {
  contains,
  familyOf,
  gatewayOf,
  overlaps,
  parseCidr,
  parseIp,
  parseMac,
  prefixLength,
  rangeOf,
  toNumber,
} from './ip.ts';

/** The only way into the model from outside: parse, or a WarrenError that says which field and what it should be. */

export const name = z
  .string()
  .transform((text) => text.toLowerCase())
  .refine((text) => /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(text), {
    error: 'must be one DNS label: letters, digits and hyphens, at most 63, not starting or ending with a hyphen',
  })
  .refine((text) => text !== 'tasks', { error: '"tasks" is reserved' });

const text = <T extends string>(parse: (text: string) => T | undefined, error: string) =>
  z.string().transform((value, context): T => {
    const parsed = parse(value);
    if (parsed !== undefined) return parsed;
    context.issues.push({ code: 'custom', input: value, message: `"${value}" ${error}` });
    return z.NEVER;
  });
export const ip = text<Ip>(parseIp, 'is not an IP address');
export const cidr = text<Cidr>(parseCidr, 'is not a prefix with zero host bits, such as 10.9.0.0/16');
const mac = text<Mac>(parseMac, 'is not a unicast MAC address such as 0a:1b:2c:3d:4e:5f');
export const labels = z.record(
  z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._/-]{0,62}$/, 'label keys are letters, digits and ._/-'),
  z.string().max(256),
);
const ifname = z
  .string()
  .regex(/^(?!\.{1,2}$)[^\s/:%]{1,15}$/, 'must be 1 to 15 characters without spaces, slashes, colons or percent signs');

/** Smallest sensible subnets: room for network, gateway, broadcast and a few endpoints. */
const longestPrefix = { 4: 29, 6: 120 } as const;
const shortestPrefix = { 4: 8, 6: 48 } as const;
export const mtuRange = { min: 1280, max: 65535 } as const;

const networkWish = z
  .strictObject({
    name,
    subnets: z.array(cidr).max(2).default([]),
    ipRanges: z.array(cidr).max(2).default([]),
    reserved: z.array(ip).max(1024).default([]),
    mtu: z.union([z.literal('auto'), z.int().min(mtuRange.min).max(mtuRange.max)]).default('auto'),
    encrypted: z.boolean().default(true),
    internal: z.boolean().default(false),
    allowOverlap: z.boolean().default(false),
    labels: labels.default({}),
    ifNotExists: z.boolean().default(false),
  })
  .transform((wish) => ({ ...wish, subnets: byFamily(wish.subnets), ipRanges: byFamily(wish.ipRanges) }));

const attachWish = z.strictObject({
  network: z.string(),
  netns: z.string().startsWith('/'),
  name: name.optional(),
  addresses: z.array(ip).max(2).default([]),
  mac: mac.optional(),
  ifname: ifname.optional(),
  defaultRoute: z.boolean().default(true),
  service: name.optional(),
  weight: z.int().min(1).max(65_535).default(1),
  labels: labels.default({}),
  ifNotExists: z.boolean().default(false),
});

export type NetworkInput = z.output<typeof networkWish>;
export type AttachInput = z.output<typeof attachWish>;

export function parseNetwork(input: unknown): NetworkInput {
  const wish = parse(networkWish, input, 'network');
  checkSubnets(wish.name, wish.subnets);
  for (const range of wish.ipRanges) {
    if (!wish.subnets.some((subnet) => within(subnet, range))) {
      throw invalid(
        `network "${wish.name}": --ip-range ${range} is in none of its subnets`,
        'give --subnet too, and a range inside it',
      );
    }
  }
  for (const address of wish.reserved) {
    const subnet = wish.subnets.find((candidate) => contains(candidate, address));
    if (!subnet)
      throw invalid(`network "${wish.name}": --reserve ${address} is in none of its subnets`, 'give --subnet too');
    if (address === gatewayOf(subnet))
      throw invalid(`network "${wish.name}": ${address} is the gateway, which is always reserved`);
  }
  return wish;
}

/** At most one subnet per family, of a size that makes sense, of addresses that hosts may have. */
export function checkSubnets(network: string, subnets: readonly Cidr[]): void {
  if (subnets.length === 2 && subnets[0] && subnets[1] && familyOf(subnets[0]) === familyOf(subnets[1])) {
    throw invalid(`network "${network}": two subnets of one family`, 'give one IPv4 and one IPv6 subnet at most');
  }
  for (const subnet of subnets) {
    const family = familyOf(subnet);
    const length = prefixLength(subnet);
    if (length > longestPrefix[family])
      throw invalid(`network "${network}": subnet ${subnet} is too small`, `use /${longestPrefix[family]} or larger`);
    if (length < shortestPrefix[family])
      throw invalid(`network "${network}": subnet ${subnet} is too large`, `use /${shortestPrefix[family]} or smaller`);
    if (unusable.some((prefix) => overlaps(prefix, subnet))) {
      throw invalid(
        `network "${network}": subnet ${subnet} is not for hosts (loopback, link-local, multicast or reserved)`,
        'use a private prefix such as 10.9.0.0/16 or fd09::/64',
      );
    }
  }
}

const unusable = [
  '0.0.0.0/8',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '224.0.0.0/3',
  '::/8',
  'fe80::/10',
  'ff00::/8',
  'fdfe:7761:7272:656e::/64',
] as Cidr[];

export function parseAttach(input: unknown): AttachInput {
  const wish = parse(attachWish, input, 'attach');
  if (wish.addresses.length === 2 && familyOf(wish.addresses[0] as Ip) === familyOf(wish.addresses[1] as Ip)) {
    throw invalid('two addresses of one family', 'give one IPv4 and one IPv6 address at most');
  }
  return { ...wish, addresses: byFamily(wish.addresses) };
}

export const parseLabels = (input: unknown): Record<string, string> => parse(labels, input, 'labels');
export const parseName = (input: unknown, what: string): string => parse(name, input, what);
export const parseSubnets = (input: unknown): Cidr[] => byFamily(parse(z.array(cidr).max(2), input, 'subnet'));

function byFamily<T extends Ip | Cidr>(list: readonly T[]): T[] {
  return [...list].sort((a, b) => familyOf(a) - familyOf(b));
}

function within(outer: Cidr, inner: Cidr): boolean {
  return (
    familyOf(outer) === familyOf(inner) && prefixLength(inner) >= prefixLength(outer) && contains(outer, firstOf(inner))
  );
}

function firstOf(prefix: Cidr): Ip {
  return prefix.slice(0, prefix.indexOf('/')) as Ip;
}

/** Does a larger subnet hold all of a smaller one, so that a network may grow into it? */
export function holds(outer: Cidr, inner: Cidr): boolean {
  const [a, b] = [rangeOf(outer), rangeOf(inner)];
  return (
    a.family === b.family &&
    a.first <= b.first &&
    a.last >= b.last &&
    toNumber(firstOf(outer)) <= toNumber(firstOf(inner))
  );
}

export function parse<Schema extends z.ZodType>(schema: Schema, input: unknown, what: string): z.output<Schema> {
  const result = schema.safeParse(input);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const field = issue?.path.join('.');
  throw invalid(`${field ? `${what}: ${field}` : what}: ${issue?.message ?? 'invalid'}`);
}

export function invalid(message: string, hint?: string): WarrenError {
  return new WarrenError('invalid_input', message, hint);
}
