import { networkInterfaces } from 'node:os';
import { WarrenError } from '../model/error.ts';
import type { Family, Ip } from '../model/ip.ts';
import { familyOf, parseIp } from '../model/ip.ts';

/** Where the others reach this host, and which of its own addresses that leads to: the same, unless it is behind a NAT. */
export type Place = { readonly underlay: Ip; readonly local: Ip };
/** What a person says of it: addresses or interfaces. */
type Said = { readonly advertise: string; readonly local?: string | undefined };

/** Addresses another host could reach. */
export function candidates(family?: Family): Ip[] {
  return interfaceAddresses()
    .map(({ ip }) => ip)
    .filter((ip) => family === undefined || familyOf(ip) === family);
}

/** With a local address, what is advertised is a NAT's, and need not be ours. */
export function resolvePlace({ advertise, local }: Said): Place {
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

/** The interface whose address a host is to follow when it changes. None where a person has named the address itself. */
export function followed(
  { advertise, local }: { readonly [name in keyof Said]?: string | undefined },
  place: Place,
): string | undefined {
  const said = local ?? advertise;
  if (said !== undefined) return parseIp(said) ? undefined : said;
  return interfaceAddresses().find(({ ip }) => ip === place.local)?.dev;
}

/**
 * Where a member is now: where it was, or, once that address has gone, where its interface is. Another address beside the
 * one it has changes nothing.
 */
export function placeNow({ advertise, local, interface: dev }: Said & { interface?: string | undefined }): Place {
  const known = parseIp(local ?? advertise);
  const here = candidates();
  if (dev === undefined || known === undefined || here.includes(known)) return resolvePlace({ advertise, local });
  const now = interfaceAddresses().find((each) => each.dev === dev && familyOf(each.ip) === familyOf(known))?.ip;
  if (now) return { underlay: local === undefined ? now : (parseIp(advertise) as Ip), local: now };
  throw new WarrenError(
    'no_advertise_address',
    `${known} is not an address of this host any more, and ${dev} has no other one of its family`,
    `use one of: ${here.join(', ') || 'none found'}`,
  );
}

/** An address as given, or the first global one of an interface. */
function resolveOwn(option: string, text: string): Ip {
  const ip = parseIp(text);
  const found = `use one of: ${candidates().join(', ') || 'none found'}`;
  if (ip) {
    if (candidates().includes(ip)) return ip;
    throw new WarrenError(
      'no_advertise_address',
      `${option} ${text} is not an address of this host`,
      `${found}${option === '--advertise' ? '; behind a NAT, name one of these with --local' : ''}`,
    );
  }
  const own = interfaceAddresses().filter(({ dev }) => dev === text);
  const first = own.find((each) => familyOf(each.ip) === 4) ?? own[0];
  if (first) return first.ip;
  throw new WarrenError('no_advertise_address', `${option} ${text}: no such interface or address here`, found);
}

function interfaceAddresses(): { dev: string; ip: Ip }[] {
  return Object.entries(networkInterfaces())
    .filter(([dev]) => !/^wup\d+$/.test(dev))
    .flatMap(([dev, list]) => (list ?? []).map((entry) => ({ dev, ...entry })))
    .filter(({ internal, address }) => !internal && !/^(fe80:|169\.254\.)/.test(address))
    .flatMap(({ dev, address }) => {
      const ip = parseIp(address);
      return ip ? [{ dev, ip }] : [];
    });
}
