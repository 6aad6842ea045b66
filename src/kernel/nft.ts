/* Tables of nftables, as `nft -s list table` prints them. */

/** netdev: of single links, with hooks as packets come in and go out. */
export type NftTableId = { readonly family: 'inet' | 'netdev'; readonly name: string };

/** A whole table; text is its body exactly as `nft -s list table` prints it, so that reading it back compares equal. */
export type NftTable = NftTableId & { readonly text: string };

/**
 * Some elements of a set or map of such a table, each as nft writes it: `10.9.0.11 . 80`, in a map with its value,
 * `10.9.0.11 . 80 : 8080`. Single ones, no intervals.
 */
export type NftElements = {
  readonly family: NftTableId['family'];
  readonly table: string;
  readonly set: string;
  readonly elements: readonly string[];
};
