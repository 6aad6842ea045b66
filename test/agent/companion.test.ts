import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { Companion, endCompanion, type Trade } from '../../src/agent/companion.ts';
import { bootId } from '../../src/agent/facts.ts';
import { WarrenError } from '../../src/model/error.ts';
import { waitFor } from '../support/wait.ts';

const dir = mkdtempSync(join(tmpdir(), 'warren-companion-'));
const boot = bootId();
const files: string[] = [];
after(async () => {
  for (const file of files) await endCompanion(file, boot);
  rmSync(dir, { recursive: true });
});

/** A shell script that says `word` and stays. */
function setup(name: string, word = 'ready', more: Partial<Trade> = {}) {
  const file = join(dir, `${name}.json`);
  files.push(file);
  const said: string[] = [];
  const trade: Trade = {
    ...{ file, boot, as: 'first', overlaps: false },
    command: ['/bin/sh', '-c', `read -r x; echo ${word}; exec sleep 1000`, `${dir}/${name}`],
    isOne: (argv) => argv.includes(`${dir}/${name}`),
    explain: (answer) => new WarrenError('internal', `said "${answer}"`),
    found: (pid) => said.push(`found ${pid}`),
    lost: (pid) => said.push(`lost ${pid}`),
    failed: ({ message }) => said.push(message),
    ...more,
  };
  return { file, said, trade, make: (change: Partial<Trade> = {}) => new Companion({ ...trade, ...change }) };
}

const up = (companion: Companion) => waitFor(() => companion.pid, { what: 'the process' });
const runs = (pid: number) => !/^\d+ \(.*\) Z/.test(read(`/proc/${pid}/stat`) || '0 () Z');
function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

test('started once, adopted by the next, replaced when it is to be another, ended', async () => {
  const { file, make } = setup('one');
  const first = make();
  first.want();
  const pid = await up(first);
  first.stop();
  const second = make();
  second.want();
  assert.equal(await up(second), pid);
  second.stop();
  const third = make({ as: 'second' });
  third.want();
  const next = await up(third);
  assert.notEqual(next, pid);
  assert.deepEqual([runs(pid), runs(next)], [false, true]);
  third.stop();
  await endCompanion(file, boot);
  assert.deepEqual([runs(next), read(file)], [false, '']);
});

test('killed, it is there again; whoever is in its file by mistake is left alone', async () => {
  const { file, said, make } = setup('two');
  const companion = make();
  companion.want();
  const pid = await up(companion);
  process.kill(pid, 'SIGKILL');
  const next = await waitFor(() => companion.pid !== pid && companion.pid, { what: 'another' });
  assert.deepEqual(said.slice(0, 2), [`found ${pid}`, `lost ${pid}`]);
  companion.stop();
  process.kill(next, 'SIGKILL');
  await waitFor(() => !runs(next), { what: 'its end' });
  writeFileSync(file, JSON.stringify({ pid: process.pid, started: '1', boot, as: 'first' }));
  const later = make();
  later.want();
  assert.notEqual(await up(later), process.pid);
  later.stop();
});

test('one that says something else has failed; one that says nothing does not keep anybody waiting for ever', async () => {
  const { said, make } = setup('three', 'error');
  const companion = make();
  companion.want();
  await waitFor(() => companion.trouble, { what: 'trouble' });
  companion.stop();
  assert.deepEqual([companion.pid, said], [undefined, ['said "error"']]);
  const mute = setup('four');
  const silent = mute.make({ command: ['/bin/sh', '-c', 'exec sleep 1000'], startMs: 50 });
  silent.want();
  await waitFor(() => silent.trouble, { what: 'trouble' });
  silent.stop();
  assert.deepEqual(mute.said, ['said ""']);
});
