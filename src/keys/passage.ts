import type { SaCounters } from '../kernel/state.ts';
import type { Encap } from './encap.ts';
import type { Input, PairState, Session } from './pair.ts';
import type { Sight } from './sa.ts';

/*
 * Does what the peer sends come through? Only the receiver can tell, and it says so by wishing for UDP:
 *   sender     its policy has moved: a datagram at once, before it says `moved`, and some more, a second apart, while the SA
 *              carries nothing else. Nobody answers them; the peer's SA counts them.
 *   receiver   both have moved, and its SA has counted nothing for some seconds: ESP is blocked.
 * That holds until the host is started again, but for a host that cannot be reached in UDP either: it was the way that was
 * cut, not ESP, and the next generation tries that again.
 */

export const probeMs = 1000;
export const mostProbes = 4;
export const silentMs = 3000;

/** What this end wishes for now. */
export function wishOf({ blocked }: Pick<PairState, 'blocked'>, { encap }: Pick<Input, 'encap'>): Encap {
  if (encap !== 'auto') return encap;
  return blocked ? 'udp' : 'esp';
}

/** Since when at least nothing can have come under it by chance; undefined: something did, or nothing needs to have. */
function silentAt(session: Session | undefined, sight: Sight): number | undefined {
  if (session?.doneAt === undefined) return undefined;
  const rx = sight.find({ ...session, direction: 'in', spi: session.rx });
  return typeof rx === 'object' && arrived(rx) === 0 ? session.doneAt + silentMs : undefined;
}

/** What came and was refused did come. */
function arrived({ packets, replay, replayWindow, integrityFailed }: SaCounters): number {
  return packets + replay + replayWindow + integrityFailed;
}

/** Was it found out that ESP does not come through, by now? */
export function isBlocked(state: PairState, current: Session | undefined, { now, sight }: Input): boolean {
  const at = current?.encap === 'esp' ? silentAt(current, sight) : undefined;
  return state.blocked || (at !== undefined && now >= at);
}

/** And is it worth another look, now that there is another generation anyway? */
export function staysBlocked(state: PairState, current: Session | undefined, { now, sight }: Input): boolean {
  const at = current?.encap === 'udp' ? silentAt(current, sight) : undefined;
  return state.blocked && (at === undefined || now < at);
}

/** When it will be known, if it still can turn out that ESP is blocked. */
export function knownAt(state: PairState, current: Session | undefined, { sight }: Input): number | undefined {
  return current?.encap === 'esp' && !state.blocked ? silentAt(current, sight) : undefined;
}

/** When the next datagram is due; now or before: send it. */
export function probeAt(session: Session | undefined, tx: SaCounters | undefined): number | undefined {
  if (!session?.moved || session.probes >= mostProbes) return undefined;
  if (session.probedAt === undefined) return 0;
  return tx && tx.packets <= session.probes ? session.probedAt + probeMs : undefined;
}
