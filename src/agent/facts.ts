import { readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import type { Kernel } from '../kernel/kernel.ts';
import { host } from '../kernel/state.ts';
import { WarrenError } from '../model/error.ts';
import type { Cidr, Family, Ip } from '../model/ip.ts';
import { familyOf, overlaps, parseCidr, parseIp } from '../model/ip.ts';
import type { Facts } from '../model/node.ts';
import { protocol } from '../plan/names.ts';
import { version } from './version.ts';

/** Where the others reach this host, and which of its own addresses that leads to: the same, unless it is behind a NAT. */
export type Place = { readonly underlay: Ip; readonly local: Ip };

/** What the kernel says about this host, and the link that has the local address. */
export async function gatherFacts(kernel: Kernel, { underlay, local }: Place): Promise<{ facts: Facts; dev: string }> {
  const { links, addrs, routes } = await kernel.read(host, { links: true, addrs: true, routes: true });
  const dev = addrs.find(({ address }) => address.slice(0, address.indexOf('/')) === local)?.dev;
  const link = links.find(({ name }) => name === dev);
  if (!dev || !link?.mtu) {
    throw new WarrenError(
      'no_advertise_address',
      `${local} is not an address of this host`,
      `use one of: ${candidates().join(', ') || 'none found'}`,
    );
  }
  const reached = routes
    .filter((route) => route.protocol !== protocol && !/^(wup\d+|lo)$/.test(route.dev ?? ''))
    .flatMap(({ dst }) => parseCidr(dst) ?? [])
    .filter((dst) => !dst.endsWith('/0') && !everywhere.some((prefix) => overlaps(prefix, dst)));
  const behind = local === underlay ? undefined : local;
  const facts = { underlay, local: behind, underlayMtu: link.mtu, routes: [...new Set(reached)].sort(), version };
  return { facts, dev };
}

/** Every host has these; they say nothing about where a network may be. */
const everywhere = [
  '127.0.0.0/8',
  '169.254.0.0/16',
  '224.0.0.0/4',
  'fe80::/10',
  'ff00::/8',
  '::1/128',
  'fdfe:7761:7272:656e::/64',
] as Cidr[];

/** Addresses another host could reach. */
export function candidates(family?: Family): Ip[] {
  return Object.entries(networkInterfaces())
    .filter(([name]) => !/^wup\d+$/.test(name))
    .flatMap(([, list]) => list ?? [])
    .filter((entry) => !entry.internal && !/^(fe80:|169\.254\.)/.test(entry.address))
    .flatMap((entry) => parseIp(entry.address) ?? [])
    .filter((ip) => family === undefined || familyOf(ip) === family);
}

/** With a local address, what is advertised is a NAT's, and need not be ours. */
export function resolvePlace(advertise: string, local: string | undefined): Place {
  if (local === undefined) {
    const underlay = resolveOwn('--advertise', advertise);
    return { underlay, local: underlay };
  }
  const own = resolveOwn('--local', local);
  const underlay = parseIp(advertise);
  if (underlay && familyOf(underlay) === familyOf(own)) return { underlay, local: own };
  throw new WarrenError(
    'no_advertise_address',
    `--advertise ${advertise} is not an address of the family of ${own}`,
    'with --local, it is the address of the NAT that leads here',
  );
}

/** An address as given, or the first global one of an interface. */
function resolveOwn(option: string, text: string): Ip {
  const ip = parseIp(text);
  if (ip) {
    if (candidates().includes(ip)) return ip;
    throw new WarrenError(
      'no_advertise_address',
      `${option} ${text} is not an address of this host`,
      `use one of: ${candidates().join(', ') || 'none found'}${option === '--advertise' ? '; behind a NAT, name one of these with --local' : ''}`,
    );
  }
  const usable = new Set<string>(candidates());
  const found = (networkInterfaces()[text] ?? [])
    .map(({ address }) => address)
    .filter((address) => usable.has(address));
  const first = found.find((address) => !address.includes(':')) ?? found[0];
  if (first) return parseIp(first) as Ip;
  throw new WarrenError(
    'no_advertise_address',
    `${option} ${text}: no such interface or address here`,
    `use one of: ${candidates().join(', ') || 'none found'}`,
  );
}

/** Changes at every boot (random(4)): tells whether a namespace identity is still worth anything. */
export function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}
