import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { parse, stringify } from 'yaml';
import { z } from 'zod';
import { WarrenError } from '../model/error.ts';
import type { NodeId } from '../model/id.ts';
import { idPattern } from '../model/id.ts';
import { runDirOf, socketOf } from './socket-path.ts';

/** Where things are on this host. */
export type Paths = { config: string; stateDir: string; runDir: string; socket: string };

export function pathsOf(options: { config?: string; stateDir?: string; runDir?: string; socket?: string }): Paths {
  const config = options.config ?? process.env.WARREN_CONFIG ?? '/etc/warren/config.yaml';
  const stateDir = options.stateDir ?? process.env.WARREN_STATE_DIR ?? '/var/lib/warren';
  return { config, stateDir, runDir: runDirOf(options), socket: socketOf(options) };
}

const shape = z.strictObject({
  cluster: z.string(),
  /** May hold a password: the file is 0600 and this never reaches a log. */
  store: z.string(),
  node: z.strictObject({ id: z.string().regex(idPattern), name: z.string() }),
  advertise: z.string(),
  /** Does this host run the cluster's store itself? */
  managedStore: z.boolean().default(false),
});
export type Config = Omit<z.output<typeof shape>, 'node'> & { node: { id: NodeId; name: string } };

/** undefined when there is none: `init` was never run here. */
export function readConfig(path: string): Config | undefined {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new WarrenError('invalid_input', `cannot read ${path}: ${(error as Error).message}`);
  }
  const result = shape.safeParse(tryYaml(text));
  if (result.success) return result.data as Config;
  const issue = result.error.issues[0];
  throw new WarrenError(
    'invalid_input',
    `${path}: ${issue?.path.join('.')}: ${issue?.message}`,
    'mend it, or start over with: warren leave --force',
  );
}

export function requireConfig(path: string): Config {
  const config = readConfig(path);
  if (config) return config;
  throw new WarrenError('not_initialized', `this host is in no cluster (no ${path})`, 'begin with: warren init');
}

export function writeConfig(path: string, config: Config): void {
  writePrivate(
    path,
    `# warren: this host's place in its cluster. May hold the store's password: keep it 0600.\n${stringify(config)}`,
  );
}

/** Whole or not at all, 0600, its directory 0700 where we make it. */
export function writePrivate(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const fresh = `${path}.${process.pid}`;
  try {
    writeFileSync(fresh, text, { mode: 0o600 });
    renameSync(fresh, path);
  } finally {
    rmSync(fresh, { force: true });
  }
}

function tryYaml(text: string): unknown {
  try {
    return parse(text);
  } catch {
    return undefined;
  }
}
