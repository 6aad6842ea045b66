import { randomBytes } from 'node:crypto';
import type { Kernel } from '../../src/kernel/kernel.ts';
import type { Op } from '../../src/kernel/op.ts';
import type { Encap, Netns, Policy, PolicyId, Sa } from '../../src/kernel/state.ts';
import { Secret } from '../../src/model/secret.ts';
import { inside, mac } from './netns.ts';

export const reqid = 4789;
export const four = ['10.9.0.1', '10.9.0.2'] as const;
export const six = ['fd00:9::1', 'fd00:9::2'] as const;
export const gcm = { name: 'rfc4106(gcm(aes))', icv: 128 };
export const chacha = { name: 'rfc7539esp(chacha20,poly1305)', icv: 128 };

/** 32 bytes and 4 of salt, of which every byte is `fill`, or random. */
export function key(fill?: number): Secret {
  return new Secret(fill === undefined ? new Uint8Array(randomBytes(36)) : new Uint8Array(36).fill(fill));
}

export function sa(src: string, dst: string, spi: number, more: Partial<Sa> = {}): Sa {
  return { src, dst, spi, reqid, mode: 'transport', aead: gcm, esn: true, replayWindow: 128, ...more };
}

/** Pings from one address to another. Of all packets it must not be: ESP in UDP is UDP, and asked for its policy first. */
export function flow(dir: PolicyId['dir'], src: string, dst: string): PolicyId {
  const [length, proto] = src.includes(':') ? [128, 58] : [32, 1];
  return { dir, selector: { src: `${src}/${length}`, dst: `${dst}/${length}`, proto } };
}

/** ESP or nothing, for that flow; outwards by the SA with `spi`. */
export function policy(dir: 'in' | 'out', src: string, dst: string, spi?: number): Policy {
  return {
    ...flow(dir, src, dst),
    priority: 1,
    action: 'allow',
    tmpls: [{ src, dst, proto: 'esp', mode: 'transport', reqid, ...(spi === undefined ? {} : { spi }) }],
  };
}

/**
 * Two hosts with a wire, and a count of what comes in at each:
 *
 *      a  e0 10.9.0.1 fd00:9::1 ───── e0 10.9.0.2 fd00:9::2  b
 */
export async function wire(kernel: Kernel, netns: () => Promise<Netns>): Promise<readonly [Netns, Netns]> {
  const ends = [await netns(), await netns()] as const;
  const peer = { name: 'e0', netns: ends[1], address: mac(2) };
  await kernel.apply(ends[0], [
    { op: 'link.add', link: { name: 'e0', kind: 'veth', address: mac(1), veth: { peer } } },
  ]);
  for (const [i, ns] of ends.entries()) {
    await kernel.apply(ns, [
      { op: 'link.set', link: { name: 'e0', up: true } },
      { op: 'addr.set', addr: { dev: 'e0', address: `${four[i]}/24`, nodad: true } },
      { op: 'addr.set', addr: { dev: 'e0', address: `${six[i]}/64`, nodad: true } },
      { op: 'neigh.set', neigh: { dev: 'e0', dst: four[1 - i] as string, lladdr: mac(2 - i) } },
      { op: 'neigh.set', neigh: { dev: 'e0', dst: six[1 - i] as string, lladdr: mac(2 - i) } },
    ]);
    inside(ns, 'nft', capture);
  }
  return ends;
}

const capture = `table netdev capture {
  chain c {
    type filter hook ingress device "e0" priority -500;
    icmp type { echo-request, echo-reply } counter comment "clear"
    icmpv6 type { echo-request, echo-reply } counter comment "clear"
    ip protocol esp counter comment "esp"
    ip6 nexthdr esp counter comment "esp"
    udp dport 4500 counter comment "udp"
  }
}`;

export type Wire = { clear: number; esp: number; udp: number };

/** Packets that came in over the wire since it is there: in the clear, as ESP, as ESP in UDP. */
export function arrived(ns: Netns): Wire {
  const listed = JSON.parse(inside(ns, 'nft', '-j', 'list', 'table', 'netdev', 'capture'));
  const counts: Wire = { clear: 0, esp: 0, udp: 0 };
  for (const { rule } of listed.nftables) {
    if (!rule) continue;
    const { counter } = rule.expr.find((expr: object) => 'counter' in expr);
    counts[rule.comment as keyof Wire] += counter.packets;
  }
  return counts;
}

/** Both ways between `here` and `there`, SPIs `spi` and `spi` + 1, as host `self` (0 or 1) has it. */
export function protect(
  self: number,
  [a, b]: readonly [string, string],
  spi: number,
  keys: readonly [Secret, Secret],
  more: Partial<Sa> = {},
): Op[] {
  const [to, from]: ['out' | 'in', 'out' | 'in'] = self === 0 ? ['out', 'in'] : ['in', 'out'];
  return [
    { op: 'sa.add', sa: sa(a, b, spi, more), key: keys[0] },
    { op: 'sa.add', sa: sa(b, a, spi + 1, more), key: keys[1] },
    { op: 'policy.set', policy: policy(to, a, b, to === 'out' ? spi : undefined) },
    { op: 'policy.set', policy: policy(from, b, a, from === 'out' ? spi + 1 : undefined) },
  ];
}

export const inUdp: Encap = { sport: 4500, dport: 4500 };

/** Packets of `count` that were answered. */
export function ping(ns: Netns, dst: string, count = 3): number {
  try {
    const said = inside(ns, 'ping', '-n', '-c', `${count}`, '-i', '0.02', '-W', '1', dst);
    return Number(/(\d+) received/.exec(said)?.[1]);
  } catch {
    return 0; // its exit status says that none was
  }
}

/** Causes for which packets were refused, with their counts. */
export async function refused(kernel: Kernel, ns: Netns): Promise<Record<string, number>> {
  const { xfrmStat } = await kernel.read(ns, { xfrmStat: true });
  return Object.fromEntries(xfrmStat.filter(({ count }) => count > 0).map(({ name, count }) => [name, count]));
}
