import type { NodeId } from '../model/id.ts';
import type { NetworkView } from '../model/view.ts';

/** What is not as it should be in the store. */
export type Finding = {
  kind:
    | 'bit'
    | 'closing'
    | 'cooling'
    | 'double'
    | 'leaked'
    | 'lost'
    | 'member'
    | 'missing'
    | 'orphan'
    | 'outside'
    | 'pool'
    | 'recovering'
    | 'reserved'
    | 'unreadable';
  /** A name, an address, an id, … */
  subject: string;
  detail: string;
  repaired: boolean;
};
export type Scrutiny = {
  repair: boolean;
  /** Nodes with endpoints there that the registry does not know. */
  gone: readonly NodeId[];
  /** What the caller knows was there at a revision, where it follows the network. */
  known: Pick<NetworkView, 'revision' | 'endpoints' | 'services'> | undefined;
};
export type NetworkCheck = {
  /** How many entries were looked at. */
  checked: number;
  findings: readonly Finding[];
  /** Findings beyond those named. */
  more: number;
  /** Findings that are not repaired. */
  left: number;
  /** Nodes that have endpoints there. */
  nodes: readonly NodeId[];
  /** Ids that something is held for, and that have no document that can be read. */
  lost: readonly string[];
};
