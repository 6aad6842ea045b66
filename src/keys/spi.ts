/*
 * SPI, 32 bits:
 *   sender's index (14)  sender's generation mod 512 (9)  receiver's generation mod 512 (9)
 * Indexes begin at 1, so that it is never below 256 (RFC 4303), and no two members share one: at a receiver, two senders'
 * SPIs differ in the index and two sessions of one sender in a generation. Sessions of one pair that live at the same time
 * must not agree modulo 512 in both; whoever begins a generation leaves out numbers that would (pair.ts).
 */

const wrap = 512;
export const lastIndex = 0x3fff;

export type Spi = { readonly index: number; readonly sender: number; readonly receiver: number };

/** Generations of any size go in. */
export function packSpi({ index, sender, receiver }: Spi): number {
  if (!Number.isInteger(index) || index < 1 || index > lastIndex) throw new RangeError(`no node has index ${index}`);
  return ((index << 18) | ((sender % wrap) << 9) | (receiver % wrap)) >>> 0;
}

/** Generations come out modulo 512. */
export function unpackSpi(spi: number): Spi {
  return { index: spi >>> 18, sender: (spi >>> 9) & (wrap - 1), receiver: spi & (wrap - 1) };
}

/** Do two generations of one node look the same in an SPI? */
export const lookAlike = (a: number, b: number): boolean => a % wrap === b % wrap;
