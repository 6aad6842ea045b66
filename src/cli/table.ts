import { styleText } from 'node:util';
import Table from 'cli-table3';

type Row = Readonly<Record<string, unknown>>;

const plain = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: '  ',
};

/** Aligned columns under upper-case headings. */
export function table(rows: readonly Row[], columns: Readonly<Record<string, (row: never) => unknown>>): string {
  const made = new Table({
    head: Object.keys(columns).map((name) => bold(name.toUpperCase())),
    chars: plain,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
  });
  for (const row of rows) made.push(Object.values(columns).map((cell) => cellOf(cell(row as never))));
  return trimmed(made.toString());
}

/** One thing, a line per field. */
export function fields(thing: Row): string {
  const made = new Table({ chars: plain, style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 } });
  for (const [name, value] of Object.entries(thing)) made.push([bold(name), cellOf(value)]);
  return trimmed(made.toString());
}

export function warning(text: string): string {
  return `${process.stdout.isTTY ? styleText('yellow', 'warning:') : 'warning:'} ${text}`;
}

function cellOf(value: unknown): string {
  if (value === null || value === undefined || value === '') return '-';
  if (Array.isArray(value))
    return value.length === 0
      ? '-'
      : value.map((item) => (typeof item === 'object' ? JSON.stringify(item) : String(item))).join(', ');
  if (typeof value !== 'object') return String(value);
  const pairs = Object.entries(value).map(
    ([key, item]) => `${key}=${typeof item === 'object' && item !== null ? JSON.stringify(item) : String(item ?? '-')}`,
  );
  return pairs.length === 0 ? '-' : pairs.join(' ');
}

const trimmed = (text: string): string =>
  text
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
const bold = (text: string): string => (process.stdout.isTTY ? styleText('bold', text) : text);
