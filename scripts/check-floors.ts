/**
 * Who may import whom. A linter can forbid names, but not "types only, from there"; so this is one table, read top down.
 * The C++ floors (addon -> ops -> nl) are checked by preprocessing nl and ops where Node's headers cannot be found.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';

const below = ['model', 'kernel', 'store', 'plan', 'keys', 'pki', 'control', 'agent'];
type Floor = { may: readonly string[]; types?: readonly string[]; pure?: true };
const floors: Record<string, Floor> = {
  model: { may: [], pure: true },
  kernel: { may: ['model'] },
  store: { may: ['model'] },
  // kernel/state.ts is vocabulary: types, and the one value `host`.
  plan: { may: ['model', 'kernel/state.ts'], types: ['kernel'], pure: true },
  // What two nodes share of keys, and one pair's states; node:crypto's randomness only in making new ones.
  keys: { may: ['model', 'kernel/state.ts'], types: ['kernel'], pure: true },
  // X.509 and join tokens of one cluster.
  pki: { may: ['model'], pure: true },
  control: { may: ['model', 'kernel', 'store', 'plan'] },
  // What a name means is said in one place, to the endpoints and to `warren resolve`.
  agent: { may: [...below, 'dns/answer.ts', 'dns/record.ts', 'dns/zone.ts'] },
  cni: { may: ['model', 'agent/protocol.ts'] },
  docker: { may: ['model', 'agent/protocol.ts'] },
  dns: { may: below },
  cli: { may: below },
};
/** Modules that only compute: what a pure floor may use besides its own. */
const computing = [
  'node:net',
  'node:util',
  'node:assert',
  'node:crypto',
  'ipaddr.js',
  'zod',
  'yaml',
  '@peculiar/x509',
  'reflect-metadata',
];
/** What one place alone may use. */
const singles = [
  { what: /\.node['"`]|process\.dlopen/, where: 'src/kernel/native.ts', why: 'it alone loads the addon' },
  { what: /from '(ioredis|redis)'/, where: 'src/store/', why: 'it alone speaks to Redis' },
];

process.chdir(fileURLToPath(new URL('..', import.meta.url)));
const files = (folder: string, end: RegExp): string[] =>
  existsSync(folder)
    ? readdirSync(folder, { recursive: true, encoding: 'utf8' })
        .filter((name) => end.test(name))
        .map((name) => join(folder, name))
    : [];
const problems: string[] = [];

const importing = /\b(?:import|export)\s+(type\s)?(?:[^'";]*?\sfrom\s+)?'([^']+)'|\bimport\(\s*'([^']+)'/g;
for (const file of files('src', /\.ts$/)) {
  const text = readFileSync(file, 'utf8');
  const home = file.split('/')[1] ?? '';
  const floor = floors[home];
  if (!floor) {
    problems.push(`${file}: src/${home} is on no floor; add it to scripts/check-floors.ts`);
    continue;
  }
  for (const { what, where, why } of singles) {
    if (what.test(text) && !file.startsWith(where))
      problems.push(`${file}: ${what.source} belongs to ${where}: ${why}`);
  }
  for (const [, type, plain, lazy] of text.matchAll(importing)) {
    const wanted = plain ?? lazy ?? '';
    if (!wanted.startsWith('.')) {
      if (floor.pure && !computing.includes(wanted))
        problems.push(`${file}: ${home} is pure and may not use ${wanted}`);
      continue;
    }
    const target = normalize(join(dirname(file), wanted)).replace(/^src\//, '');
    const folder = target.split('/')[0] ?? '';
    if (folder === home || floor.may.includes(folder) || floor.may.includes(target)) continue;
    if (floor.types?.includes(folder)) {
      if (!type) problems.push(`${file}: ${home} may take only types from ${folder}: import type … '${wanted}'`);
    } else {
      problems.push(
        `${file}: ${home} may not import ${target}; below it: ${floor.may.join(', ') || 'nothing of ours'}`,
      );
    }
  }
}

for (const [folder, forbidden] of [
  ['native/nl', /#include\s+["<](ops|addon)\//] as const,
  ['native/ops', /#include\s+["<]addon\//] as const,
]) {
  for (const file of files(folder, /\.(h|cc)$/)) {
    if (forbidden.test(readFileSync(file, 'utf8'))) problems.push(`${file}: includes upwards (addon -> ops -> nl)`);
  }
}
// Including is what must not work; the rest of compiling is the build's business and would take 20 s.
const sources = [...files('native/nl', /\.cc$/), ...files('native/ops', /\.cc$/)];
if (sources.length > 0) {
  const flags = ['g++', '-std=c++20', '-E', '-o', '/dev/null', '-Inative'];
  const compiler = spawnSync('xargs', ['-P2', '-n1', ...flags], { input: sources.join('\n'), encoding: 'utf8' });
  if (compiler.status !== 0)
    problems.push(`native/nl and native/ops must do without Node's headers:\n${compiler.stderr}`);
}

for (const problem of problems) console.error(`floors: ${problem}`);
console.error(`floors: ${problems.length === 0 ? 'ok' : `${problems.length} problems`}`);
process.exitCode = problems.length === 0 ? 0 : 1;
