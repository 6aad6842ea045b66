import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import * as z from 'zod';
import { ciphers } from '../keys/cipher.ts';
import { encapSettings } from '../keys/encap.ts';
import { WarrenError } from '../model/error.ts';
import type { NodeId } from '../model/id.ts';
import { idPattern } from '../model/id.ts';
import { roles } from '../model/node.ts';
import { configPathOf } from './config-path.ts';
import { followed, type Place } from './place.ts';
import { writePrivate } from './private-file.ts';

/** Where things are on this host. */
export type Paths = { config: string; stateDir: string; runDir: string; socket: string };

/** Each by flag, WARREN_*, configuration file, default, in this order. */
export function pathsOf(options: { config?: string; stateDir?: string; runDir?: string; socket?: string }): Paths {
  const { env } = process;
  const config = configPathOf(options);
  const file = readSettings(config) ?? {};
  const stateDir = options.stateDir ?? env.WARREN_STATE_DIR ?? file.stateDir ?? '/var/lib/warren';
  const runDir = options.runDir ?? env.WARREN_RUN_DIR ?? file.runDir ?? '/run/warren';
  const socket = options.socket ?? env.WARREN_SOCKET ?? file.socket ?? join(runDir, 'agent.sock');
  return { config, stateDir, runDir, socket };
}

/** What can be written down before `init`: every flag of `init` and `agent`. */
const shapeBefore = z.strictObject({
  cluster: z.string().optional(),
  /** May hold a password: the file is 0600 and this never reaches a log. */
  store: z.string().optional(),
  advertise: z.string().optional(),
  /** Of the host itself, where the one it is reached by is a NAT's. */
  local: z.string().optional(),
  /** PEM files for a `rediss:` store: whom to believe, and this host's certificate where the store asks for one. */
  storeTls: z
    .strictObject({ ca: z.string().optional(), cert: z.string().optional(), key: z.string().optional() })
    .optional(),
  dataPort: z.number().optional(),
  name: z.string().optional(),
  stateDir: z.string().optional(),
  runDir: z.string().optional(),
  socket: z.string().optional(),
  verbose: z.boolean().optional(),
  /** Seconds between looks at everything, although nothing was heard; 0: never. */
  resync: z.number().min(0).max(86_400).optional(),
  /** Seconds within which a host that died is found dead. */
  downAfter: z.number().min(2).max(86_400).optional(),
  /** Which one to use with other nodes; without it the faster one. */
  cipher: z.enum(ciphers).optional(),
  /** ESP by itself or in UDP; auto, and without it: in UDP where ESP does not pass. */
  encap: z.enum(encapSettings).optional(),
  /** Seconds until a pair of nodes agrees on new keys. */
  rekeyInterval: z.number().min(10).max(86_400).optional(),
});
/** And what `init` adds. */
const shape = shapeBefore.extend({
  cluster: z.string(),
  store: z.string(),
  advertise: z.string(),
  node: z.strictObject({ id: z.string().regex(idPattern), name: z.string() }),
  role: z.enum(roles).default('manager'),
  /** Whose address this host has: it is told anew when it changes. Without it the address stays. */
  interface: z.string().optional(),
  /** Does this host run the cluster's store itself? */
  managedStore: z.boolean().default(false),
  /** Is the store the cluster's own, where every node has its user? */
  storeUsers: z.boolean().default(false),
});
export type Settings = z.output<typeof shapeBefore>;
export type Config = Omit<z.output<typeof shape>, 'node'> & { node: { id: NodeId; name: string } };

/** undefined: this host is in no cluster. */
export function readConfig(path: string): Config | undefined {
  const found = readFile(path);
  if (typeof found !== 'object' || found === null || !('node' in found)) return undefined;
  return checked(path, shape.safeParse(found)) as Config;
}

/** Does it say more? By flag, WARREN_VERBOSE (0 means no), configuration file. */
export function isVerbose(options: { verbose?: boolean | undefined }, config: Config): boolean {
  const { WARREN_VERBOSE } = process.env;
  const named = WARREN_VERBOSE ? WARREN_VERBOSE !== '0' : undefined;
  return options.verbose ?? named ?? config.verbose ?? false;
}

/** undefined: there is no such file. */
export function readSettings(path: string): Settings | undefined {
  const found = readFile(path);
  return found === undefined ? undefined : checked(path, shape.partial().safeParse(found));
}

function readFile(path: string): unknown {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new WarrenError('invalid_input', `cannot read ${path}: ${(error as Error).message}`);
  }
  try {
    return parse(text) ?? {};
  } catch (error) {
    throw new WarrenError('invalid_input', `${path}: ${(error as Error).message}`, 'mend it');
  }
}

function checked<T>(path: string, result: z.ZodSafeParseResult<T>): T {
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  throw new WarrenError(
    'invalid_input',
    `${path}: ${[issue?.path.join('.'), issue?.message].filter((word) => word).join(': ')}`,
    'mend it, or start over with: warren leave --force',
  );
}

export function requireConfig(path: string): Config {
  const config = readConfig(path);
  if (config) return config;
  throw new WarrenError('not_initialized', `this host is in no cluster (no ${path})`, 'begin with: warren init');
}

/** This host has moved. What was an interface there, it follows from now on. */
export function moveConfig(path: string, place: Place): Config {
  const before = requireConfig(path);
  const moved: Config = { ...before, advertise: place.underlay };
  if (before.local !== undefined) moved.local = place.local;
  moved.interface = followed(before, place) ?? before.interface;
  writeConfig(path, moved);
  return moved;
}

export function writeConfig(path: string, config: Config): void {
  writePrivate(
    path,
    `# warren: this host's place in its cluster. May hold the store's password: keep it 0600.\n${stringify(config)}`,
  );
}
