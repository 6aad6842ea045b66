import type { NodeId } from '../model/id.ts';
import type { Refusal } from './announcement.ts';
import type { IdentityKey } from './identity.ts';

/**
 * Trust on first use: the first identity seen of a node is the one it has; another is refused until a person says otherwise.
 * `node ls` shows fingerprints, so that people can compare them. Whoever owns the store at the first sight can put himself
 * between two nodes; whoever owns it later cannot.
 */
export type Pins = ReadonlyMap<NodeId, IdentityKey>;

/** 'pin': write it down before anything is done with it, or a crash makes the next sight the first again. */
export function judgeIdentity(pins: Pins, node: NodeId, identity: IdentityKey): 'accept' | 'pin' | Refusal {
  const pinned = pins.get(node);
  if (pinned !== undefined) return pinned === identity ? 'accept' : 'identity_changed';
  for (const other of pins.values()) if (other === identity) return 'identity_shared';
  return 'pin';
}
