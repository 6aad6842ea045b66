/**
 * How a pair's ESP goes from host to host: by itself, or in UDP (RFC 3948) where something on the way drops protocol 50.
 * Each end says what it wishes; both choose by the same rule from the same two signed announcements, and the choice goes
 * into the keys. The kernel takes nothing under an SA that came the other way (XfrmInStateMismatch): it belongs to a
 * session for good, and whoever changes his mind begins another.
 */

export const encaps = ['esp', 'udp'] as const;
export type Encap = (typeof encaps)[number];

/** auto: in UDP once it was found that the peer's ESP does not come through. */
export const encapSettings = ['auto', ...encaps] as const;
export type EncapSetting = (typeof encapSettings)[number];

/** Of both ends (RFC 3948): what middleboxes let pass. */
export const espPort = 4500;

/** One that cannot be reached otherwise is enough. */
export function chooseEncap(ours: Encap, theirs: Encap): Encap {
  return ours === 'udp' || theirs === 'udp' ? 'udp' : 'esp';
}
