import type { NetworkId } from '../model/id.ts';
import type { Session } from './session.ts';
import { revisionOf } from './since.ts';
import type { Change } from './store.ts';

/** Says what a script of ours has changed in a network; it ends its answer with `INCARNATION ENTRY BEFORE` where it has. */
export function tell(
  session: Session,
  network: NetworkId,
  change: Change,
  [incarnation, entry, before]: readonly string[],
): void {
  if (incarnation === undefined || entry === undefined || before === undefined) return;
  const revision = revisionOf(incarnation, entry);
  session.written({ network, before, delta: { kind: 'changes', revision, changes: [change] } });
}
