import type { Op } from '../kernel/op.ts';
import type { NftTable } from '../kernel/state.ts';

/*
 * What we write of an nft table is its body as `nft -s list table` prints it, so that reading it back compares equal; but for
 * the elements of its sets and maps, whose order and line ends are nft's own matter:
 *   elements = { ELEMENT, ELEMENT }
 */
const block = /\n?[\t ]*elements = \{([^}]*)\}/g;

/** As the last line of a set or map; '' where there are none. */
export function elements(list: readonly string[]): string {
  return list.length === 0 ? '' : `\n\telements = { ${[...list].sort().join(', ')} }`;
}

type Parts = { skeleton: string; elements: ReadonlyMap<string, ReadonlySet<string>> };

/** A body without elements, and the elements by the name of their set or map. */
function partsOf(text: string): Parts {
  const found = new Map<string, Set<string>>();
  for (const [, name = '', body = ''] of text.matchAll(/^(?:set|map) (\S+) \{\n([\s\S]*?)^\}/gm)) {
    const list = [...body.matchAll(block)].flatMap(([, inner = '']) => inner.split(','));
    found.set(name, new Set(list.map((element) => element.trim().replace(/\s+/g, ' '))));
  }
  return { skeleton: text.replace(block, ''), elements: found };
}

/** What makes one table of another: its elements where nothing else differs, so that one more of a thousand costs one. */
export function diffTable(want: NftTable, have: NftTable | undefined): Op[] {
  if (have?.text === want.text) return [];
  const [wanted, found] = [partsOf(want.text), partsOf(have?.text ?? '')];
  if (!have || wanted.skeleton !== found.skeleton) return [{ op: 'nft.set', table: want }];
  const { family, name: table } = want;
  return [...wanted.elements].flatMap(([set, these]): Op[] => {
    const those = found.elements.get(set) ?? new Set();
    const [more, less] = [[...these].filter((each) => !those.has(each)), [...those].filter((each) => !these.has(each))];
    const del: Op[] = less.length > 0 ? [{ op: 'nft.element.del', family, table, set, elements: less }] : [];
    const add: Op[] = more.length > 0 ? [{ op: 'nft.element.set', family, table, set, elements: more }] : [];
    return [...del, ...add];
  });
}
