/** Bundles the programs into dist/: one start file each, and chunks, so that what is imported lazily is still loaded lazily. */
import { cpSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, type Plugin } from 'esbuild';

process.chdir(fileURLToPath(new URL('..', import.meta.url)));
const programs = { warren: 'src/cli/main.ts', 'warren-dns': 'src/dns/main.ts' };
const entryPoints = Object.fromEntries(Object.entries(programs).filter(([, source]) => existsSync(source)));

/** See src/cli/width.ts; cli-table3 keeps what it asks for. */
const narrow: Plugin = {
  name: 'narrow',
  setup: ({ onResolve }) => {
    onResolve({ filter: /^string-width$/ }, ({ importer }) =>
      /node_modules\/(yargs|cliui|wrap-ansi)\//.test(importer)
        ? { path: join(process.cwd(), 'src/cli/width.ts') }
        : undefined,
    );
  },
};

const result = await build({
  entryPoints,
  outdir: 'dist',
  outExtension: { '.js': '.mjs' },
  // No subfolder: modules find dist/scripts and the addon beside or above themselves, whichever chunk they end up in.
  chunkNames: '[name]-[hash]',
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  sourcemap: 'linked',
  // Some dependencies are CommonJS and call require() for Node's own modules; an ES module has none.
  banner: {
    js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
  },
  external: ['*.node'],
  plugins: [narrow],
  logLevel: 'warning',
  // A build that fails must leave the last good one alone, so nothing is written before all of it is there.
  write: false,
}).catch(() => process.exit(1)); // esbuild has said why
rmSync('dist', { recursive: true, force: true });
for (const { path, contents } of result.outputFiles) {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, contents);
}
if (existsSync('src/store/scripts')) cpSync('src/store/scripts', 'dist/scripts', { recursive: true });
