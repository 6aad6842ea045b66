import type { Encap, Sa, SaCounters } from '../kernel/state.ts';
import type { Ip } from '../model/ip.ts';
import { kernelNames } from './cipher.ts';
import type { Agreed } from './derive.ts';
import { espPort } from './encap.ts';

/** Between a pair's words and the kernel's: the one place that knows what an SA of ours looks like. */

/** Between which addresses, and for which kernel. */
export type Way = {
  readonly local: Ip;
  readonly remote: Ip;
  readonly reqid: number;
  /** Does the kernel know directions (Linux 6.10)? Others want a replay window of sending SAs too. */
  readonly directions: boolean;
  /** Of the peer's ESP in UDP: another than our own where a NAT maps it. */
  readonly port: number;
  /** Seconds; given where this host is behind a NAT whose mapping must not be forgotten. */
  readonly keepalive?: number | undefined;
};

export type Half = Agreed & { readonly direction: 'in' | 'out'; readonly spi: number };

/** Reordering by many queues and cores stays within it. */
const replayWindow = 1024;

/** `soft` tells us when it is time for the next generation, should nobody have looked before. */
export function saOf(way: Way, { direction, spi, cipher, encap }: Half, soft: { packets: number; bytes: number }): Sa {
  const [src, dst] = direction === 'out' ? [way.local, way.remote] : [way.remote, way.local];
  return {
    src,
    dst,
    spi,
    reqid: way.reqid,
    mode: 'transport',
    aead: { name: kernelNames[cipher], icv: 128 },
    esn: true,
    replayWindow: way.directions && direction === 'out' ? 0 : replayWindow,
    ...(way.directions ? { dir: direction } : {}),
    ...(encap === 'udp' ? { encap: portsOf(way, direction) } : {}),
    ...(encap === 'udp' && direction === 'out' && way.directions && way.keepalive ? { keepalive: way.keepalive } : {}),
    ...(direction === 'out' ? { soft } : {}),
  };
}

const portsOf = ({ port }: Way, direction: 'in' | 'out'): Encap =>
  direction === 'out' ? { sport: espPort, dport: port } : { sport: port, dport: espPort };

/** One of the pair's SAs as it must be now that the peer's port is that one; undefined: it is so, or is not in UDP. */
export function ported(way: Way, { counters: _, ...sa }: Sa): Sa | undefined {
  const want = portsOf(way, sa.dst === way.remote ? 'out' : 'in');
  const same = sa.encap?.sport === want.sport && sa.encap?.dport === want.dport;
  return !sa.encap || same ? undefined : { ...sa, encap: want };
}

/** What one pair needs to know of the kernel, read after the ops of its last step were done. */
export type Sight = {
  /** 'other': the SPI is in use at that address, but not by an SA as we make them. */
  find(half: Half): SaCounters | 'other' | undefined;
  /** The SPI the policy towards the peer names. */
  readonly tx: number | undefined;
};

export const saKey = ({ dst, spi }: { dst: string; spi: number }): string => `${dst} ${spi}`;

/** `sas` by saKey: made once for all pairs. */
export function sightOf(sas: ReadonlyMap<string, Sa>, way: Way, tx: number | undefined): Sight {
  return {
    tx,
    find(half) {
      const want = saOf(way, half, { packets: 0, bytes: 0 });
      const have = sas.get(saKey(want));
      if (!have?.counters) return have && 'other';
      const same =
        !have.partial &&
        have.src === want.src &&
        have.reqid === want.reqid &&
        have.mode === want.mode &&
        have.aead?.name === want.aead?.name &&
        have.aead?.icv === want.aead?.icv &&
        have.esn === true &&
        (have.encap === undefined) === (want.encap === undefined);
      return same ? have.counters : 'other';
    },
  };
}
