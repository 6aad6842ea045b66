import { stripVTControlCharacters } from 'node:util';

/**
 * Columns of a text in a terminal, for yargs in the bundle (scripts/build.ts). All we print through it is one column a
 * character; the package that knows every script and emoji spends 20 ms at each start to prepare for them.
 */
export default function stringWidth(text: string): number {
  return stripVTControlCharacters(text).length;
}
