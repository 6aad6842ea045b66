/**
 * Runs test/netns in a guest: those tests change the kernel they run on, and this machine's is not theirs.
 *
 *      a      one guest, no network but what the tests make
 */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { build } from 'esbuild';
import { Lab } from './lab.ts';
import { here, project } from './tools.ts';

const folder = join(project, 'test/netns');
const files = readdirSync(folder).filter((name) => name.endsWith('.test.ts'));
/** Compiled here: it would take a guest seconds for each of them. As deep as the sources, whose relative paths hold there. */
const compiled = join(project, 'build/netns');
let lab: Lab;
before(async () => {
  await build({
    entryPoints: files.map((name) => join(folder, name)),
    outdir: compiled,
    outExtension: { '.js': '.mjs' },
    ...{ bundle: true, splitting: true, format: 'esm', platform: 'node', target: 'node20', packages: 'external' },
    ...{ external: ['*.node'], sourcemap: 'inline', logLevel: 'warning' },
  });
  lab = await Lab.start({ guests: 1, memory: '1G' });
});
after(() => lab?.stop());

test('there are tests for the kernel', () => assert.notEqual(files.length, 0));

for (const file of files) {
  test(`test/netns/${file}`, async (t) => {
    const reporter = ['--test-reporter', join(here, 'lines.mjs'), '--test-reporter-destination', '/run/lines'];
    const program = join(compiled, file.replace(/\.ts$/, '.mjs'));
    const argv = [process.execPath, '--enable-source-maps', ...reporter, program];
    const env = { WARREN_LAB: '1', ...(process.env.WARREN_LONG ? { WARREN_LONG: '1' } : {}) };
    const result = await lab.guests.a.run(argv, {
      cwd: project,
      env,
      timeout: process.env.WARREN_LONG ? 600_000 : 300_000,
    });
    const report = result.guestDied ? '' : await lab.guests.a.ok('cat /run/lines; rm -f /run/lines');
    const lines = report.split('\n').filter(Boolean);
    const results = lines.map((line) => JSON.parse(line) as { name: string; skipped: boolean; error?: string });
    for (const { name, skipped, error } of results) {
      await t.test(name, () => {
        assert.ok(!skipped, 'the lab has every kernel feature: nothing may be skipped here');
        if (error) throw Object.assign(new Error(), { stack: `in the guest: ${error}` });
      });
    }
    // A test that fails is told above; this is for a file that cannot be loaded, hangs, or takes the guest with it.
    const told = results.some(({ error }) => error) || (results.length > 0 && result.code === 0);
    assert.ok(told, `${file} in the guest: ${result}\n${result.stdout.slice(-2000)}${result.stderr.slice(-4000)}`);
  });
}
