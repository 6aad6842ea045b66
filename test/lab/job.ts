/** A command running in a guest. */
import { constants } from 'node:os';
import type { Line } from './line.ts';
import { LabError } from './tools.ts';

export type RunOptions = {
  cwd?: string;
  env?: Record<string, string>;
  /** Milliseconds after which the whole process group is killed. */
  timeout?: number;
  /** Standard input, all of it. */
  input?: string | Uint8Array;
  /** Called instead of collecting. */
  onStdout?: (data: Buffer) => void;
  onStderr?: (data: Buffer) => void;
};

/** How a command ended. `code` is null when a signal ended it, or when the guest died under it. */
export class Result {
  readonly code: number | null;
  readonly signal: number;
  readonly guestDied: boolean;
  readonly timedOut: boolean;
  readonly output: Buffer;
  readonly stderr: string;

  constructor(status: number | undefined, timedOut: boolean, output: Buffer, stderr: string) {
    this.guestDied = status === undefined;
    this.signal = (status ?? 0) & 127;
    this.code = status === undefined || this.signal ? null : status >> 8;
    this.timedOut = timedOut;
    this.output = output;
    this.stderr = stderr;
  }

  get stdout(): string {
    return this.output.toString();
  }

  toString(): string {
    if (this.guestDied) return 'the guest died';
    const how = this.signal ? `signal ${this.signal}` : `exit ${this.code}`;
    return this.timedOut ? `${how} after its timeout` : how;
  }
}

export type Command = string | readonly string[];
/** A string is a shell's, an array goes to exec as it is. */
export const argvOf = (command: Command): readonly string[] =>
  typeof command === 'string' ? ['sh', '-c', command] : command;

export class Job {
  readonly done: Promise<Result>;
  readonly #line: Line;
  readonly #id: number;
  readonly #options: RunOptions;
  readonly #out: Buffer[] = [];
  readonly #err: Buffer[] = [];
  readonly #timer: NodeJS.Timeout | undefined;
  #timedOut = false;
  #ended = false;
  #finish: (result: Result) => void = () => {};

  constructor(line: Line, id: number, argv: readonly string[], env: Record<string, string>, options: RunOptions) {
    this.#line = line;
    this.#id = id;
    this.#options = options;
    this.done = new Promise((resolve) => {
      this.#finish = resolve;
    });
    const words = [options.cwd ?? '/', ...Object.entries(env).map(([key, value]) => `${key}=${value}`), '', ...argv];
    const payload = Buffer.from(words.map((word) => `${word}\0`).join(''));
    if (payload.length > 1_000_000)
      throw new LabError('a command line of a megabyte does not fit; put it into a file in /lab');
    line.send('X', id, payload);
    if (options.timeout !== undefined) {
      this.#timer = setTimeout(() => {
        this.#timedOut = true;
        this.kill('SIGKILL');
      }, options.timeout);
    }
  }

  /** What came so far, of a command that collects. */
  get stdout(): string {
    return Buffer.concat(this.#out).toString();
  }

  get stderr(): string {
    return Buffer.concat(this.#err).toString();
  }

  get ended(): boolean {
    return this.#ended;
  }

  write(data: string | Uint8Array): void {
    const bytes = Buffer.from(data);
    // An empty frame would be the end.
    if (bytes.length > 0 && !this.#ended) this.#line.send('I', this.#id, bytes);
  }

  end(): void {
    if (!this.#ended) this.#line.send('I', this.#id);
  }

  /** To the command's process group. */
  kill(signal: NodeJS.Signals = 'SIGTERM'): void {
    if (!this.#ended) this.#line.send('K', this.#id, Buffer.from([constants.signals[signal]]));
  }

  /** For the guest: output arrived. */
  take(type: 'O' | 'E', data: Buffer): void {
    const callback = type === 'O' ? this.#options.onStdout : this.#options.onStderr;
    if (callback) callback(data);
    else (type === 'O' ? this.#out : this.#err).push(data);
  }

  /** For the guest: the command ended with this wait status, or the guest did (undefined). */
  finish(status: number | undefined): void {
    this.#ended = true;
    clearTimeout(this.#timer);
    this.#finish(new Result(status, this.#timedOut, Buffer.concat(this.#out), this.stderr));
  }
}
