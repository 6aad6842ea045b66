import type { SaCounters } from '../kernel/state.ts';
import type { Encap } from './encap.ts';
import type { Input, PairState, Session } from './pair.ts';
import type { Sight } from './sa.ts';

/*
 * Does what the peer sends come through? Only the receiver can tell, and it says so by wishing for UDP:
 *   sender     its policy has moved: a datagram at once, before it says `moved`, and some more, a second apart, while the SA
 *              carries nothing else. Nobody answers them; the peer's SA counts them.
 *   receiver   both have moved, and its SA has counted nothing for some seconds: ESP is blocked.
 * That holds until the host is started again, but for a peer that was not heard in UDP either when that began: then it was
 * the way that was cut, and the next generation tries ESP again; as soon as something comes, there is one.
 * ESP that stops passing later is found by hearing.ts.
 */

export const probeMs = 1000;
export const mostProbes = 4;
export const silentMs = 3000;

/** What this end wishes for now. */
export function wishOf({ blocked }: Pick<PairState, 'blocked'>, { encap }: Pick<Input, 'encap'>): Encap {
  if (encap !== 'auto') return encap;
  return blocked ? 'udp' : 'esp';
}

/** When it is known whether something comes under it; undefined: something did, or it is known, or too early to tell. */
export function knownAt(session: Session | undefined, sight: Sight): number | undefined {
  if (session?.doneAt === undefined || session.silent) return undefined;
  const rx = sight.find({ ...session, direction: 'in', spi: session.rx });
  return typeof rx === 'object' && arrived(rx) === 0 ? session.doneAt + silentMs : undefined;
}

/** What came and was refused did come. */
export function arrived({ packets, replay, replayWindow, integrityFailed }: SaCounters): number {
  return packets + replay + replayWindow + integrityFailed;
}

export function isSilent(session: Session, { now, sight }: Input): boolean {
  const at = knownAt(session, sight);
  return session.silent || (at !== undefined && now >= at);
}

/** Was it found out that ESP does not come through, by now? */
export function isBlocked({ blocked }: PairState, current: Session | undefined): boolean {
  return blocked || (current?.encap === 'esp' && current.silent);
}

/** Was the way cut, and is it open again? */
export function isOpen({ blocked }: PairState, current: Session, rx: SaCounters): boolean {
  return blocked && current.encap === 'udp' && current.silent && arrived(rx) > 0;
}

/** And is it worth another look, now that there is another generation anyway? */
export function staysBlocked({ blocked }: PairState, current: Session | undefined): boolean {
  return blocked && !(current?.encap === 'udp' && current.silent);
}

/** When the next datagram is due; now or before: send it. */
export function probeAt(session: Session | undefined, tx: SaCounters | undefined): number | undefined {
  if (!session?.moved || session.probes >= mostProbes) return undefined;
  if (session.probedAt === undefined) return 0;
  return tx && tx.packets <= session.probes ? session.probedAt + probeMs : undefined;
}
