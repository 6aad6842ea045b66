/**
 * Runs the tests: those that need nothing first and side by side, then those that boot hosts, most of them one by one (two
 * processors carry three guests, not six). One report and one set of totals for all of it.
 *
 *   node --import tsx scripts/test.ts [FILE|FOLDER|WORD]...    only files whose path contains one of these
 *
 * Exits 1 when a test failed, when none ran, and, with CI set, when one was skipped.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { fileURLToPath } from 'node:url';

process.chdir(fileURLToPath(new URL('..', import.meta.url)));
const wanted = process.argv.slice(2);
const all = readdirSync('test', { recursive: true, encoding: 'utf8' })
  .map((name) => join('test', name))
  .filter((name) => name.endsWith('.test.ts'))
  // test/netns changes the kernel it runs on: test/lab/netns.test.ts runs it in a guest.
  .filter((name) => !name.startsWith('test/netns/'))
  .filter((name) => wanted.length === 0 || wanted.some((word) => name.includes(word.replace(/^\.\//, ''))))
  .sort();
const inLab = (name: string) => name.startsWith('test/lab/');
const minute = 60_000;
/** A bound for what hangs; on slow machines (system calls of User-Mode Linux may take four times as long) most files take minutes. */
const labTimeout = (process.env.WARREN_LONG ? 60 : 20) * minute;
/** They promise little about time, and wait more than they work. The longest first: none is left over alone. */
const unhurried =
  'keys faults encap nat ansible bad-input service encryption systemd guard publish overlay move features lacking leave netns node-rm overlap underlay'
    .split(' ')
    .map((name) => `test/lab/${name}.test.ts`);
const hurried = all.filter((name) => inLab(name) && !unhurried.includes(name));
const phases = [
  { files: all.filter((name) => !inLab(name)), concurrency: 2, timeout: 5 * minute },
  { files: unhurried.filter((name) => all.includes(name)), concurrency: 3, timeout: labTimeout },
  { files: hurried, concurrency: 1, timeout: labTimeout },
];

type Event = { type: string; data: { nesting?: number; message?: string } };
const totals = new Map<string, number>();

/** Every phase ends with its own totals; they are held back and added up. */
async function* events(): AsyncGenerator<Event> {
  const ends: Event[] = [];
  for (const { files, ...options } of phases) {
    if (files.length === 0) continue;
    ends.length = 0;
    for await (const event of run({ files, ...options }) as AsyncIterable<Event>) {
      const total =
        event.type === 'test:diagnostic' &&
        event.data.nesting === 0 &&
        /^(\w+) ([\d.]+)$/.exec(event.data.message ?? '');
      if (total) {
        totals.set(total[1] ?? '', (totals.get(total[1] ?? '') ?? 0) + Number(total[2]));
        ends.push(event);
      } else if (event.type !== 'test:summary') {
        yield event;
      }
    }
  }
  for (const event of ends) {
    const name = event.data.message?.split(' ')[0] ?? '';
    yield { ...event, data: { ...event.data, message: `${name} ${Math.round(totals.get(name) ?? 0)}` } };
  }
}

const count = (name: string) => totals.get(name) ?? 0;
Readable.from(events())
  .compose(new spec())
  .on('data', (text: string) => process.stdout.write(text))
  .on('end', () => {
    const failed = count('fail') + count('cancelled');
    const skipped = count('skipped') + count('todo');
    if (skipped > 0 && process.env.CI) console.log('error: with CI set a skipped test is a failure');
    console.log(
      `${count('pass')} passed, ${failed} failed, ${skipped} skipped (${Math.round(count('duration_ms') / 1000)} s)`,
    );
    if (failed > 0 || count('pass') === 0 || (skipped > 0 && process.env.CI)) process.exitCode = 1;
  });
