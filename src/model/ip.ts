import ipaddr from 'ipaddr.js';

/** An address in canonical text: `10.9.0.11`, `fd00::b` (RFC 5952). */
export type Ip = string & { readonly __ip: true };
/** A prefix whose host bits are zero: `10.9.0.0/16`. */
export type Cidr = string & { readonly __cidr: true };
/** A unicast MAC in lower case: `0a:1b:2c:3d:4e:5f`. */
export type Mac = string & { readonly __mac: true };
export type Family = 4 | 6;
/** First and last address of a prefix as numbers. */
export type Range = { family: Family; first: bigint; last: bigint };

export function parseIp(text: string): Ip | undefined {
  const full = /^\d+(\.\d+){3}$/.test(text) || text.includes(':');
  if (!full || text.includes('%') || !ipaddr.isValid(text)) return undefined;
  return ipaddr.parse(text).toString() as Ip;
}

/** undefined when malformed; host bits must be zero, as `ip route` demands. */
export function parseCidr(text: string): Cidr | undefined {
  const [address = '', length = ''] = text.split('/');
  const ip = parseIp(address);
  if (!ip || !/^\d{1,3}$/.test(length) || Number(length) > width(familyOf(ip))) return undefined;
  const cidr = `${ip}/${Number(length)}` as Cidr;
  return toNumber(ip) === rangeOf(cidr).first ? cidr : undefined;
}

export function parseMac(text: string): Mac | undefined {
  const mac = text.toLowerCase();
  if (!/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/.test(mac)) return undefined;
  const first = Number.parseInt(mac.slice(0, 2), 16);
  return first & 1 || mac === '00:00:00:00:00:00' ? undefined : (mac as Mac);
}

export function familyOf(text: Ip | Cidr): Family {
  return text.includes(':') ? 6 : 4;
}

/** Address width in bits. */
export function width(family: Family): number {
  return family === 4 ? 32 : 128;
}

export function prefixLength(cidr: Cidr): number {
  return Number(cidr.slice(cidr.indexOf('/') + 1));
}

export function toNumber(ip: Ip): bigint {
  return ipaddr
    .parse(ip)
    .toByteArray()
    .reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
}

export function fromNumber(value: bigint, family: Family): Ip {
  const count = width(family) / 8;
  const bytes = Array.from({ length: count }, (_, i) => Number((value >> BigInt(8 * (count - 1 - i))) & 0xffn));
  return ipaddr.fromByteArray(bytes).toString() as Ip;
}

export function rangeOf(cidr: Cidr): Range {
  const family = familyOf(cidr);
  const host = BigInt(width(family) - prefixLength(cidr));
  const first = (toNumber(cidr.slice(0, cidr.indexOf('/')) as Ip) >> host) << host;
  return { family, first, last: first + (1n << host) - 1n };
}

export function contains(cidr: Cidr, ip: Ip): boolean {
  if (familyOf(cidr) !== familyOf(ip)) return false;
  const { first, last } = rangeOf(cidr);
  const value = toNumber(ip);
  return first <= value && value <= last;
}

export function overlaps(a: Cidr, b: Cidr): boolean {
  if (familyOf(a) !== familyOf(b)) return false;
  const [x, y] = [rangeOf(a), rangeOf(b)];
  return x.first <= y.last && y.first <= x.last;
}

/** The gateway of a subnet is its first host address, the same on every node (anycast). */
export function gatewayOf(subnet: Cidr): Ip {
  return fromNumber(rangeOf(subnet).first + 1n, familyOf(subnet));
}

/** `10.9.0.11` in `10.9.0.0/16` → `10.9.0.11/16`, as `ip addr` writes it. */
export function withPrefix(ip: Ip, subnet: Cidr): string {
  return `${ip}/${prefixLength(subnet)}`;
}

/** Fixed-width lower-case hex (8 or 32 digits): sorts and compares as text, in Lua too. */
export function toHex(ip: Ip): string {
  return toNumber(ip)
    .toString(16)
    .padStart(width(familyOf(ip)) / 4, '0');
}
