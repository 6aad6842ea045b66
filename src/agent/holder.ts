import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { createInterface } from 'node:readline';
import { getSystemErrorName } from 'node:util';
import { holderProgram } from '../kernel/native.ts';
import { espPort } from '../keys/encap.ts';
import { WarrenError } from '../model/error.ts';
import type { Family } from '../model/ip.ts';
import { writePrivate } from './config.ts';
import type { Log } from './log.ts';

/*
 * RUN-DIR/holder.json, 0600: the process that holds the port, as JSON.
 *   pid      and
 *   started  clock ticks between boot and its start (proc(5), stat, field 22), and
 *   boot     the boot's id: no other process ever has all three
 *   address  what it was told to bind
 */
type Held = { readonly pid: number; readonly started: string; readonly boot: string; readonly address: string };
const fileIn = (runDir: string): string => join(runDir, 'holder.json');

const everyMs = 1000;
/** A port that somebody else has is asked for again after so long. */
const retryMs = 5000;
const startMs = 5000;

/**
 * Sees to it that ESP in UDP is taken in by this host: a process of its own holds the socket (native/holder), as without it
 * all that traffic stops at once, and agents come and go. It is adopted from the agent before, started anew when it is gone,
 * and ends with `warren leave`.
 */
export class Holder {
  readonly #file: string;
  readonly #boot: string;
  readonly #address: string;
  readonly #log: Log;
  readonly #changed: () => void;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;
  #starting = false;
  #notBefore = 0;
  #held: Held | undefined;
  #trouble: Error | undefined;

  /** `changed`: there is one now, or there is none any more. */
  constructor(runDir: string, boot: string, family: Family, log: Log, changed: () => void) {
    this.#file = fileIn(runDir);
    this.#boot = boot;
    this.#address = family === 4 ? '0.0.0.0' : '::';
    this.#log = log;
    this.#changed = changed;
  }

  /** Is ESP taken out of UDP here? */
  get up(): boolean {
    return this.#held !== undefined;
  }

  get pid(): number | undefined {
    return this.#held?.pid;
  }

  /** Why it is not, though it should. */
  get trouble(): Error | undefined {
    return this.#trouble;
  }

  /** From now on it should. */
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
    const held = readHeld(this.#file);
    if (held?.address === this.#address && lives(held, this.#boot)) this.#found(held);
    else {
      this.#lost();
      if (Date.now() >= this.#notBefore) void this.#begin();
    }
  }

  #lost(): void {
    if (!this.#held) return;
    this.#log.warn('the process that holds the port for ESP in UDP has ended', { pid: this.#held.pid });
    this.#held = undefined;
    this.#changed();
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

  #found(held: Held): void {
    if (this.#held?.pid === held.pid && this.#held.started === held.started) return;
    this.#held = held;
    this.#trouble = undefined;
    this.#log.info('ESP in UDP is taken in', { port: espPort, pid: held.pid });
    this.#changed();
  }

  #failed(error: Error): void {
    this.#notBefore = Date.now() + retryMs;
    if (error.message !== this.#trouble?.message)
      this.#log.error('ESP in UDP cannot be taken in', { error: error.message });
    this.#trouble = error;
  }

  async #start(): Promise<Held> {
    await end(this.#file, this.#boot); // of another family
    const program = holderProgram();
    const child = spawn(program, [this.#address, String(espPort)], {
      cwd: '/',
      detached: true,
      env: {},
      stdio: ['pipe', 'pipe', 'ignore'],
    });
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
    const held = { pid, started: startOf(pid) ?? '', boot: this.#boot, address: this.#address };
    writePrivate(this.#file, `${JSON.stringify(held)}\n`);
    child.stdin?.on('error', () => {}); // it ended; its exit tells
    child.stdin?.end('\n');
    const said = await answerOf(child);
    if (said === 'ready') return held;
    child.kill(); // it may be one that only does not answer
    const error = explained(said);
    const ours = error.code === 'port_taken' ? findHolder(this.#address, pid) : undefined;
    if (ours === undefined) throw error;
    const found = { ...held, pid: ours, started: startOf(ours) ?? '' };
    writePrivate(this.#file, `${JSON.stringify(found)}\n`);
    return found;
  }
}

/** Ends the process that an agent of this host left behind, if it is that one. */
export async function endHolder(runDir: string, boot: string): Promise<void> {
  await end(fileIn(runDir), boot);
}

async function end(file: string, boot: string): Promise<void> {
  const held = readHeld(file);
  if (held && lives(held, boot)) {
    process.kill(held.pid, 'SIGTERM');
    for (let tries = 0; lives(held, boot) && tries < 500; tries++)
      await new Promise((resolve) => setTimeout(resolve, 10));
  }
  rmSync(file, { force: true });
}

/** The first line it says; '' when it says none. */
async function answerOf(child: ChildProcess): Promise<string> {
  if (!child.stdout) return '';
  const { stdout } = child;
  const timer = setTimeout(() => stdout.destroy(), startMs);
  try {
    for await (const line of createInterface({ input: stdout })) return line;
    return '';
  } finally {
    clearTimeout(timer);
    stdout.destroy();
  }
}

function explained(said: string): WarrenError {
  const [, number, where = ''] = /^error (\d+) (.*)$/.exec(said) ?? [];
  const code = number === undefined ? 'it ended' : getSystemErrorName(-Number(number));
  if (code === 'EADDRINUSE') {
    return new WarrenError(
      'port_taken',
      `UDP port ${espPort} is used by another program: ESP in UDP, which some host needs, cannot be taken in here`,
      `see which: ss -ulpn sport = :${espPort}`,
    );
  }
  if (where === 'UDP_ENCAP')
    return new WarrenError('kernel_feature_missing', `this host's kernel lacks ESP in UDP (${code})`);
  return new WarrenError('kernel', `UDP port ${espPort} cannot be held: ${[code, where].join(' ').trim()}`);
}

function readHeld(file: string): Held | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Held;
  } catch {
    return undefined; // none was started, or the file is gone or damaged: then it is nobody we know
  }
}

/** One of this namespace whose file was lost, as somebody emptied the run directory. */
function findHolder(address: string, not: number): number | undefined {
  const here = readlinkSync('/proc/self/ns/net');
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => pid > 0 && pid !== not)
    .find((pid) => {
      try {
        // After an upgrade its program is another file, or none.
        const program = readlinkSync(`/proc/${pid}/exe`).replace(/ \(deleted\)$/, '');
        const [, bound] = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
        return (
          basename(program) === 'warren-holder' && bound === address && readlinkSync(`/proc/${pid}/ns/net`) === here
        );
      } catch {
        return false; // it has ended, or belongs to the kernel
      }
    });
}

function lives({ pid, started, boot }: Held, now: string): boolean {
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
