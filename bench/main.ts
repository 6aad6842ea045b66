/**
 * Measurements against the plain kernel: `npm run bench [-- WORD… [--quick]]`, only benches whose name has a WORD.
 * What is compared is measured in turn, in one run. A table at the end; bench/results/LATEST.json has the same.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { cpus, release } from 'node:os';
import { attach, firstAttach, reach } from './attach.ts';
import { cli } from './cli.ts';
import { clusterLoad } from './cluster-load.ts';
import { coldLocal, coldRemote } from './cold.ts';
import { names } from './dns.ts';
import { encrypted } from './encrypted.ts';
import { heal } from './heal.ts';
import { peers } from './peers.ts';
import { type Bench, build, enter, root } from './place.ts';
import { rolling } from './rolling.ts';
import { services } from './service.ts';
import { aligned, digits, p50, type Series, summary } from './stats.ts';
import { throughput } from './throughput.ts';

const benches: Readonly<Record<string, Bench>> = {
  'cli start': cli,
  'attach and detach': attach,
  'first attach': firstAttach,
  'attach to ping': reach,
  'cold remote': coldRemote,
  'cold local': coldLocal,
  heal,
  throughput,
  encrypted,
  'keys after a boot': peers,
  names,
  services,
  'rolling replacement': rolling,
  'store of many': clusterLoad,
};

/** What we aim at: a limit by itself, or as a multiple of another series of the same bench. */
const aims: readonly { bench: string; what: string; limit?: number; times?: number; of?: string }[] = [
  { bench: 'attach, 1 there', what: 'warren', limit: 8 },
  { bench: 'attach, 1 there', what: 'warren', times: 3, of: 'floor' },
  { bench: 'attach, 1000 there', what: 'warren', limit: 8 },
  { bench: 'attach, 1000 there', what: 'warren', times: 3, of: 'floor' },
  { bench: 'detach, 1 there', what: 'warren', limit: 3 },
  { bench: 'detach, 1000 there', what: 'warren', limit: 3 },
  { bench: 'first attach', what: 'warren', limit: 40 },
  { bench: 'attach to ping', what: 'warren, a to b', limit: 25 },
  { bench: 'cold, 1000 local', what: 'warren', times: 1.5, of: 'floor' },
  { bench: 'cold, 10000 remote', what: 'warren', times: 2, of: 'floor' },
  { bench: 'memory, 1000 local', what: 'agent RSS', limit: 90 },
  { bench: 'cli start', what: 'warren --version', times: 1.5, of: 'node -e 0' },
  { bench: 'cli start', what: 'warren status', times: 1.5, of: 'node -e 0' },
  ...[
    'vxlan device',
    'bridge',
    'FDB entry',
    'neighbour',
    'host end of a veth pair',
    'address in a container',
    'nft table',
  ].map((what) => ({ bench: 'heal', what, limit: 2000 })),
  { bench: 'throughput', what: 'warren', times: -0.98, of: 'vxlan by hand' },
  // What Swarm keeps of its plain overlay, at most, without AES instructions.
  { bench: 'encrypted', what: 'warren, encrypted', times: -0.48, of: 'warren, plain' },
  { bench: 'encrypted', what: 'warren, encrypted', times: -1, of: 'vxlan and AES-GCM-128 by hand' },
  { bench: 'connections', what: 'virtual IP', times: -0.97, of: 'direct' },
  { bench: '10 backends replaced', what: 'failed', limit: 0 },
  { bench: '1000 services of 10', what: 'warren', limit: 2000 },
  { bench: '1000 services of 10, one changed', what: 'asked to done', limit: 10 },
];

async function main(): Promise<number> {
  const words = process.argv.slice(2).filter((word) => !word.startsWith('--'));
  const quick = process.argv.includes('--quick');
  const chosen = Object.entries(benches).filter(
    ([name]) => words.length === 0 || words.some((word) => name.includes(word)),
  );
  if (chosen.length === 0) {
    process.stderr.write(`no bench has ${words.join(' or ')} in its name: ${Object.keys(benches).join(', ')}\n`);
    return 2;
  }
  if (!existsSync(`${root}dist/warren.mjs`)) throw new Error('warren is not built: npm run build');
  const all: Series[] = [];
  let failed = 0;
  for (const [name, bench] of chosen) {
    process.stderr.write(`bench: ${name} …\n`);
    // A fresh place for each: what one leaves behind must not slow the next.
    const place = await build();
    try {
      await bench(place, (series) => all.push(series), quick);
    } catch (error) {
      failed++;
      process.stderr.write(`bench: ${name} failed: ${(error as Error).stack}\n`);
    } finally {
      await place.stop();
    }
  }
  process.stdout.write(`${render(all)}\n`);
  mkdirSync(`${root}bench/results`, { recursive: true });
  writeFileSync(`${root}bench/results/LATEST.json`, `${JSON.stringify(document(all), null, 2)}\n`);
  return failed > 0 ? 1 : 0;
}

function render(all: readonly Series[]): string {
  const head = ['BENCH', 'WHAT', 'N', 'MIN', 'P50', 'P90', 'P99', 'MAX', 'UNIT', 'AIM'];
  const rows = all.map((series) => {
    const { n, min, p50: median, p90, p99, max } = summary(series.values);
    const numbers = [min, median, p90, p99, max].map(digits);
    return [
      series.bench,
      series.what,
      String(n),
      ...numbers,
      series.unit,
      [...verdicts(series, all), series.note ?? ''].join('  ').trim(),
    ];
  });
  return aligned([head, ...rows]);
}

function verdicts(series: Series, all: readonly Series[]): string[] {
  return aims
    .filter(({ bench, what }) => bench === series.bench && what === series.what)
    .map(({ limit, times, of }) => {
      const value = p50(series);
      if (limit !== undefined) return `${value <= limit ? 'ok' : 'MISSED'} ≤ ${limit}`;
      const ratio = value / p50(all.find((other) => other.bench === series.bench && other.what === of));
      const met = (times ?? 0) < 0 ? ratio >= -(times ?? 0) : ratio <= (times ?? 0);
      return `${met ? 'ok' : 'MISSED'} ${ratio.toFixed(2)}× ${of} (${(times ?? 0) < 0 ? '≥' : '≤'} ${Math.abs(times ?? 0)})`;
    });
}

function document(all: readonly Series[]): unknown {
  const commit = execFileSync('git', ['-C', root, 'describe', '--always', '--dirty'], { encoding: 'utf8' }).trim();
  return {
    at: new Date().toISOString(),
    commit,
    node: process.version,
    kernel: release(),
    cpus: cpus().map(({ model }) => model),
    results: all.map(({ values, ...rest }) => ({
      ...rest,
      ...summary(values),
      aims: verdicts({ ...rest, values }, all),
    })),
  };
}

process.exitCode = (await enter()) ?? (await main());
if (process.env.WARREN_BENCH === 'inside') process.exit();
