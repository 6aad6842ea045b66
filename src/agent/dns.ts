import { createHash } from 'node:crypto';
import { existsSync, openSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { WarrenError } from '../model/error.ts';
import type { NetworkId } from '../model/id.ts';
import { Companion, endCompanion } from './companion.ts';
import type { Paths } from './config.ts';
import { readStatus } from './dns-files.ts';
import type { Log } from './log.ts';

const fileIn = (runDir: string): string => join(runDir, 'dns.json');
/** It says little; a log that has grown beyond this is begun anew. */
const mostLogged = 1 << 18;
/** The first attach of a network waits so long for its names; an endpoint without any is better than none. */
const serveMs = 1000;

type Dirs = Pick<Paths, 'stateDir' | 'runDir'>;

/** Sees to it that names are served here: by a process of its own (src/dns), as endpoints ask while agents come and go. */
export class Dns {
  readonly #companion: Companion;
  readonly #runDir: string;

  constructor(dirs: Dirs, boot: string, log: Log) {
    const { runDir } = dirs;
    this.#runDir = runDir;
    this.#companion = new Companion({
      file: fileIn(runDir),
      boot,
      as: contentOf(dnsProgram()),
      command: dnsCommand(dirs),
      stderr: () => openLog(join(runDir, 'dns.log')),
      overlaps: true, // the next one takes the questions over, then the former one ends
      isOne: (argv) => argv.some((word) => word.endsWith('/warren-dns.mjs')) && argv.includes(runDir),
      explain: () =>
        new WarrenError('internal', 'the process that serves names has ended', `see ${join(runDir, 'dns.log')}`),
      found: (pid) => log.info('names are served', { pid }),
      lost: (pid) => log.warn('the process that serves names has ended', { pid }),
      failed: ({ message }) => log.error('names are not served', { error: message }),
    });
  }

  get pid(): number | undefined {
    return this.#companion.pid;
  }

  /** Why names, of some network at least, are not served. */
  get trouble(): string | undefined {
    return this.#companion.trouble?.message ?? this.#status?.trouble ?? undefined;
  }

  /** Networks whose names are. */
  get serving(): readonly NetworkId[] {
    return this.#status?.serving ?? [];
  }

  /** Of the process there is now. */
  get #status() {
    const status = readStatus(this.#runDir);
    return status?.pid === this.pid ? status : undefined;
  }

  want(): void {
    this.#companion.want();
  }

  stop(): void {
    this.#companion.stop();
  }

  /** Resolves when a network's names are served, or it is clear that this takes longer. */
  async serves(network: NetworkId): Promise<void> {
    const end = performance.now() + serveMs;
    while (!this.serving.includes(network) && this.trouble === undefined && performance.now() < end) await sleep(2);
  }
}

/** Ends the process that an agent of this host left behind. */
export async function endDns(runDir: string, boot: string): Promise<void> {
  await endCompanion(fileIn(runDir), boot);
}

/** Small: a young generation of 2 MB, and code no larger than it must be. */
export function dnsCommand({ stateDir, runDir }: Dirs): [string, ...string[]] {
  const flags = ['--max-semi-space-size=2', '--optimize-for-size'];
  return [process.execPath, ...flags, dnsProgram(), '--state-dir', stateDir, '--run-dir', runDir];
}

/** Where the bundle is: seen from dist/, and from src/agent in the checkout. */
function dnsProgram(): string {
  const paths = ['./warren-dns.mjs', '../../dist/warren-dns.mjs'].map((path) =>
    fileURLToPath(new URL(path, import.meta.url)),
  );
  return paths.find(existsSync) ?? (paths[0] as string);
}

/** Its chunks' names are their contents', so that any change to the program is one to its start file. */
function contentOf(path: string): string {
  return existsSync(path) ? createHash('sha256').update(readFileSync(path)).digest('hex').slice(0, 16) : '';
}

function openLog(path: string): number {
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  return openSync(path, size > mostLogged ? 'w' : 'a', 0o600);
}
