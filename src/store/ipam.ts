import { WarrenError } from '../model/error.ts';
import type { Cidr, Family, Ip } from '../model/ip.ts';
import { contains, familyOf, fromNumber, gatewayOf, prefixLength, rangeOf, toHex, toNumber } from '../model/ip.ts';
import type { Network } from '../model/network.ts';

/** A prefix as scripts compare it: fixed-width hex, first and last address. */
export type Prefix = { cidr: Cidr; first: string; last: string; length: number };

export function prefixOf(cidr: Cidr): Prefix {
  const { family, first, last } = rangeOf(cidr);
  return {
    cidr,
    first: toHex(fromNumber(first, family)),
    last: toHex(fromNumber(last, family)),
    length: prefixLength(cidr),
  };
}

/**
 * What a network's slot must know to give out addresses of one subnet. A bitmap covers the WINDOW addresses from BASE on:
 * all of an IPv4 subnet; of an IPv6 one the first 2^20 addresses, or those from its first --ip-range on.
 * Addresses outside the window can be asked for, they are only never given out unasked.
 */
export type Pool = { family: Family; first: string; last: string; base: string; window: number; text: string };

/** Also what a growing network has to tell its slot. Ranges are offsets from the base, both ends included. */
export function poolOf(
  network: Pick<Network, 'ipRanges'>,
  subnet: Cidr,
): Pool & { ranges: readonly [number, number][] } {
  const { family, first, last } = rangeOf(subnet);
  const wished = network.ipRanges
    .filter((range) => familyOf(range) === family)
    .map(rangeOf)
    .sort((a, b) => (a.first < b.first ? -1 : 1));
  let base = first;
  let window = Number(last - first) + 1;
  if (family === 6) {
    base = wished[0]?.first ?? first;
    // Scripts count in the low 32 bits only: Lua's numbers are doubles.
    const room = 0x1_0000_0000n - (base & 0xffff_ffffn);
    window = [1n << 20n, last - base + 1n, room].map(Number).reduce((a, b) => Math.min(a, b));
  }
  // Neither the network's address, nor the gateway's, nor IPv4's broadcast.
  const low = first + 2n;
  const high = family === 4 ? last - 1n : last;
  const ranges: [number, number][] = [];
  for (const range of wished.length > 0 ? wished : [{ first, last }]) {
    const from = Number((range.first > low ? range.first : low) - base);
    const to = Math.min(Number((range.last < high ? range.last : high) - base), window - 1);
    const before = ranges.at(-1);
    if (before && from <= before[1] + 1) before[1] = Math.max(before[1], to);
    else if (from <= to) ranges.push([from, to]);
  }
  const hex = (value: bigint) => toHex(fromNumber(value, family));
  const shown = ranges.map((range) => range.join('-')).join(',');
  const text = [hex(first), hex(last), toHex(gatewayOf(subnet)), hex(base), window, shown].join(' ');
  return { family, first: hex(first), last: hex(last), base: hex(base), window, text, ranges };
}

/** How many addresses can be given out unasked, and how many of those are reserved. */
export function capacityOf(
  network: Pick<Network, 'ipRanges' | 'reserved'>,
  subnet: Cidr,
): { total: number; reserved: number } {
  const { base, ranges, family } = poolOf(network, subnet);
  const start = BigInt(`0x${base}`);
  const inRange = (ip: Ip) => {
    const offset = toNumber(ip) - start;
    return familyOf(ip) === family && ranges.some(([from, to]) => offset >= BigInt(from) && offset <= BigInt(to));
  };
  return {
    total: ranges.reduce((sum, [from, to]) => sum + to - from + 1, 0),
    reserved: new Set(network.reserved.filter(inRange)).size,
  };
}

/** Refuses what a pool cannot be made of; whoever parsed the input has said so more kindly. */
export function checkSubnets(name: string, network: Pick<Network, 'subnets' | 'ipRanges' | 'reserved'>): void {
  const bad = (what: string) => new WarrenError('invalid_input', `network "${name}": ${what}`);
  const families = new Set(network.subnets.map(familyOf));
  if (families.size < network.subnets.length) throw bad('at most one subnet per address family');
  for (const subnet of network.subnets) {
    const longest = familyOf(subnet) === 4 ? 29 : 120;
    if (prefixLength(subnet) > longest) throw bad(`subnet ${subnet} is too small: /${longest} is the smallest`);
    if (prefixLength(subnet) < 8) throw bad(`subnet ${subnet} is too large: /8 is the largest`);
  }
  for (const range of network.ipRanges) {
    const { family, first, last } = rangeOf(range);
    const inside = (subnet: Cidr) =>
      contains(subnet, fromNumber(first, family)) && contains(subnet, fromNumber(last, family));
    if (!network.subnets.some(inside)) throw bad(`ip range ${range} lies in none of its subnets`);
  }
  for (const ip of network.reserved) {
    if (!network.subnets.some((subnet) => contains(subnet, ip)))
      throw bad(`reserved ${ip} lies in none of its subnets`);
  }
}
