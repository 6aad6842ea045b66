import type { Cidr, Ip } from '../model/ip.ts';
import { contains, familyOf, fromNumber, prefixLength, rangeOf, width } from '../model/ip.ts';
import type { Name } from './record.ts';

/** Of a reverse name (RFC 1035 §3.5, RFC 3596 §2.5): the prefix it stands for, an address when it has all labels. */
export type Reverse = { readonly prefix: Cidr; readonly address: Ip | undefined };

const trees = { 4: { suffix: ['in-addr', 'arpa'], bits: 8 }, 6: { suffix: ['ip6', 'arpa'], bits: 4 } } as const;

/** undefined: it is no reverse name of this form. */
export function readReverse(labels: readonly string[]): Reverse | undefined {
  if (labels.at(-1) !== 'arpa') return undefined;
  const family = labels.at(-2) === 'in-addr' ? 4 : labels.at(-2) === 'ip6' ? 6 : undefined;
  if (!family) return undefined;
  const { bits } = trees[family];
  const parts = labels.slice(0, -2);
  if (parts.length * bits > width(family)) return undefined;
  let value = 0n;
  for (const part of parts.toReversed()) {
    const digit = family === 4 ? decimal(part) : hex(part);
    if (digit === undefined) return undefined;
    value = (value << BigInt(bits)) | BigInt(digit);
  }
  const length = parts.length * bits;
  const ip = fromNumber(value << BigInt(width(family) - length), family);
  return { prefix: `${ip}/${length}` as Cidr, address: length === width(family) ? ip : undefined };
}

/** Is all of a prefix ours to speak for? In which of ours it is. */
export function homeOf(prefixes: readonly Cidr[], { prefix }: Reverse): Cidr | undefined {
  const first = prefix.slice(0, prefix.indexOf('/')) as Ip;
  return prefixes.find((ours) => prefixLength(ours) <= prefixLength(prefix) && contains(ours, first));
}

/** The zone a name is in: as much of our prefix as has whole labels. */
export function reverseZone(ours: Cidr, { prefix }: Reverse): Name {
  const family = familyOf(ours);
  const { bits, suffix } = trees[family];
  const count = Math.min(Math.ceil(prefixLength(ours) / bits), prefixLength(prefix) / bits);
  const value = rangeOf(prefix).first >> BigInt(width(family) - count * bits);
  const labels = Array.from({ length: count }, (_, n) => {
    const digit = (value >> BigInt(n * bits)) & ((1n << BigInt(bits)) - 1n);
    return digit.toString(family === 4 ? 10 : 16);
  });
  return [...labels, ...suffix].join('.');
}

function decimal(text: string): number | undefined {
  return /^(0|[1-9]\d{0,2})$/.test(text) && Number(text) < 256 ? Number(text) : undefined;
}

function hex(text: string): number | undefined {
  return /^[0-9a-f]$/.test(text) ? Number.parseInt(text, 16) : undefined;
}
