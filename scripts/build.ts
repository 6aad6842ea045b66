/** Bundles the programs into dist/: one start file each, and chunks, so that what is imported lazily is still loaded lazily. */
import { cpSync, existsSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
const programs = { warren: 'src/cli/main.ts', 'warren-dns': 'src/dns/main.ts' };
const entries = Object.entries(programs).filter(([, source]) => existsSync(`${root}${source}`));

rmSync(`${root}dist`, { recursive: true, force: true });
if (entries.length > 0) {
  await build({
    absWorkingDir: root,
    entryPoints: Object.fromEntries(entries),
    outdir: 'dist',
    outExtension: { '.js': '.mjs' },
    chunkNames: 'chunks/[name]-[hash]',
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
    logLevel: 'warning',
    external: ['*.node'],
  });
}
const scripts = `${root}src/store/scripts`;
if (existsSync(scripts)) cpSync(scripts, `${root}dist/scripts`, { recursive: true });
