import { readFileSync } from 'node:fs';
import type { Kernel } from '../kernel/kernel.ts';
import { host } from '../kernel/state.ts';
import { WarrenError } from '../model/error.ts';
import type { Cidr } from '../model/ip.ts';
import { overlaps, parseCidr } from '../model/ip.ts';
import type { Facts } from '../model/node.ts';
import { protocol } from '../plan/names.ts';
import { schema } from '../store/keys.ts';
import type { Place } from './place.ts';
import { candidates } from './place.ts';
import { version } from './version.ts';

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
  const routesTo = [...new Set(reached)].sort();
  const facts = { underlay, local: behind, underlayMtu: link.mtu, routes: routesTo, version, layout: schema.registry };
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

/** Changes at every boot (random(4)): tells whether a namespace identity is still worth anything. */
export function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}
