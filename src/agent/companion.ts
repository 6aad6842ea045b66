import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { basename } from 'node:path';
import { createInterface } from 'node:readline';
import { WarrenError } from '../model/error.ts';
import { writePrivate } from './private-file.ts';
import { inUnit } from './unit.ts';

/*
 * RUN-DIR/NAME.json, 0600: a process that agents come and go beside, as JSON.
 *   pid      and
 *   started  clock ticks between boot and its start (proc(5), stat, field 22), and
 *   boot     the boot's id: no other process ever has all three
 *   as       what it was started as; one of another kind is replaced
 */
type Kept = { readonly pid: number; readonly started: string; readonly boot: string; readonly as: string };

/** What is told of it, and what only its kind knows. */
export type Trade = {
  /** Where it is written down. */
  readonly file: string;
  readonly boot: string;
  readonly as: string;
  /** Program and arguments. It says "ready" on its standard output, or why not, and gets a byte when it is written down. */
  readonly command: readonly [string, ...string[]];
  /** Opens what takes what it has to say; without it nobody hears. */
  readonly stderr?: () => number;
  /** May two of them be there for a moment, so that the next one takes over? */
  readonly overlaps: boolean;
  /** It has so long to say something: a very busy host needs seconds to start a program. */
  readonly startMs?: number;
  /** By the words of its command line, and where its program is. */
  readonly isOne: (argv: readonly string[], program: string) => boolean;
  /** What it said instead of "ready"; '' when it said nothing. */
  readonly explain: (said: string) => WarrenError;
  readonly found: (pid: number) => void;
  readonly lost: (pid: number) => void;
  /** Once for each reason. */
  readonly failed: (error: Error) => void;
};

const everyMs = 500;
/** One that does not start is tried again after so long. */
const retryMs = 5000;

/**
 * Sees to it that there is one process of a kind, which outlives the agent: adopted from the agent before, started anew when it
 * is gone, and ended by `warren leave`.
 */
export class Companion {
  readonly #trade: Trade;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;
  #starting = false;
  #notBefore = 0;
  #kept: Kept | undefined;
  #trouble: Error | undefined;

  constructor(trade: Trade) {
    this.#trade = trade;
  }

  get pid(): number | undefined {
    return this.#kept?.pid;
  }

  /** Why there is none, though there should be. */
  get trouble(): Error | undefined {
    return this.#trouble;
  }

  /** From now on there should be. */
  want(): void {
    if (this.#timer || this.#stopped) return;
    this.#timer = setInterval(() => this.#check(), everyMs);
    this.#check();
  }

  /** Nobody watches it any more; it stays. */
  stop(): void {
    this.#stopped = true;
    clearInterval(this.#timer);
  }

  #check(): void {
    if (this.#stopped || this.#starting) return;
    const { file, as, boot } = this.#trade;
    const kept = readKept(file);
    if (kept?.as === as && lives(kept, boot)) this.#found(kept);
    else {
      this.#lost();
      if (Date.now() >= this.#notBefore) void this.#begin();
    }
  }

  #lost(): void {
    const { pid } = this.#kept ?? {};
    this.#kept = undefined;
    if (pid !== undefined) this.#trade.lost(pid);
  }

  async #begin(): Promise<void> {
    this.#starting = true;
    try {
      this.#found(await this.#start());
    } catch (error) {
      this.#failed(error as Error);
    } finally {
      this.#starting = false;
    }
  }

  #found(kept: Kept): void {
    if (this.#kept?.pid === kept.pid && this.#kept.started === kept.started) return;
    this.#kept = kept;
    this.#trouble = undefined;
    this.#trade.found(kept.pid);
  }

  #failed(error: Error): void {
    this.#notBefore = Date.now() + retryMs;
    if (error.message !== this.#trouble?.message) this.#trade.failed(error);
    this.#trouble = error;
  }

  async #start(): Promise<Kept> {
    const { file, boot, command, stderr, overlaps, startMs = 30_000, explain } = this.#trade;
    const former = readKept(file);
    const lost = former && lives(former, boot) ? undefined : this.#find();
    if (lost !== undefined) return this.#write(lost);
    if (!overlaps) await end(former, boot);
    const [program, ...args] = inUnit(basename(file, '.json'), command);
    const log = stderr?.();
    const stdio = ['pipe', 'pipe', log ?? 'ignore'] as const;
    const child = spawn(program, args, { cwd: '/', detached: true, env: {}, stdio: [...stdio] });
    if (log !== undefined) closeSync(log);
    child.unref();
    const failed = once(child, 'error');
    const { pid } = child;
    if (pid === undefined) {
      const [error] = (await failed) as [Error];
      throw new WarrenError(
        'internal',
        `${program} does not start: ${error.message}`,
        'is it built? scripts/setup build',
      );
    }
    failed.catch(() => {});
    child.once('exit', () => this.#check());
    const kept = this.#write(pid);
    child.stdin?.on('error', () => {}); // it ended; its exit tells
    child.stdin?.end('\n');
    const said = await answerOf(child, startMs);
    if (said !== 'ready') {
      child.kill(); // it may be one that only does not answer
      throw explain(said);
    }
    await end(former, boot);
    return kept;
  }

  #write(pid: number): Kept {
    const { file, boot, as } = this.#trade;
    const kept = { pid, started: startOf(pid) ?? '', boot, as };
    writePrivate(file, `${JSON.stringify(kept)}\n`);
    return kept;
  }

  /** One of this namespace whose file was lost, as somebody emptied the run directory. */
  #find(): number | undefined {
    const here = readlinkSync('/proc/self/ns/net');
    return readdirSync('/proc')
      .map(Number)
      .filter((pid) => pid > 0)
      .find((pid) => {
        try {
          // After an upgrade its program is another file, or none.
          const program = readlinkSync(`/proc/${pid}/exe`).replace(/ \(deleted\)$/, '');
          const argv = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1);
          return this.#trade.isOne(argv, program) && readlinkSync(`/proc/${pid}/ns/net`) === here;
        } catch {
          return false; // it has ended, or belongs to the kernel
        }
      });
  }
}

/** Ends the process that an agent of this host left behind, if it is that one. */
export async function endCompanion(file: string, boot: string): Promise<void> {
  await end(readKept(file), boot);
  rmSync(file, { force: true });
}

async function end(kept: Kept | undefined, boot: string): Promise<void> {
  if (!kept || !lives(kept, boot)) return;
  process.kill(kept.pid, 'SIGTERM');
  for (let tries = 0; lives(kept, boot) && tries < 500; tries++)
    await new Promise((resolve) => setTimeout(resolve, 10));
}

/** The first line it says; '' when it says none. */
async function answerOf(child: ChildProcess, ms: number): Promise<string> {
  if (!child.stdout) return '';
  const { stdout } = child;
  const lines = createInterface({ input: stdout });
  // A stream that is destroyed would leave whoever waits for its lines waiting.
  const timer = setTimeout(() => lines.close(), ms);
  try {
    for await (const line of lines) return line;
    return '';
  } finally {
    clearTimeout(timer);
    stdout.destroy();
  }
}

function readKept(file: string): Kept | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Kept;
  } catch {
    return undefined; // none was started, or the file is gone or damaged: then it is nobody we know
  }
}

function lives({ pid, started, boot }: Kept, now: string): boolean {
  return boot === now && startOf(pid) === started;
}

/** undefined: there is no such process, or nobody has waited for it yet. */
function startOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const [state, ...fields] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return state === 'Z' || state === 'X' ? undefined : fields[18];
  } catch {
    return undefined;
  }
}
