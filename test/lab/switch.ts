/** The lab's Ethernet switch as a child process; its command language is at the top of labsw.c. */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { compile, LabError } from './tools.ts';

/** Frames of one port. `rx` left the guest, `tx` went to it; `esp`, `espudp`, `vxlan` (4789) and `plain` (4790) are part of `rx`. */
export type PortStats = {
  seg: string;
  link: 0 | 1;
  rx: number;
  tx: number;
  drop: number;
  full: number;
  esp: number;
  espudp: number;
  vxlan: number;
  plain: number;
};

type Waiter = { resolve: (line: string) => void; reject: (error: Error) => void };

export class Switch {
  readonly #process: ChildProcessByStdio<Writable, Readable, null>;
  readonly #waiting: Waiter[] = [];
  readonly #exited: Promise<unknown>;

  constructor() {
    this.#process = spawn(compile('labsw'), { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#process.stdin.on('error', () => {}); // told by 'exit'
    createInterface({ input: this.#process.stdout }).on('line', (line) => this.#waiting.shift()?.resolve(line));
    this.#exited = once(this.#process, 'exit').then(() => {
      for (const { reject } of this.#waiting.splice(0)) reject(new LabError('the switch is gone'));
    });
  }

  /** One command, for example `set a.0 loss 10`; returns what `ok` is followed by. */
  async command(line: string): Promise<unknown> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) throw new LabError('the switch is gone');
    const answer = await new Promise<string>((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#process.stdin.write(`${line}\n`);
    });
    if (!answer.startsWith('ok')) throw new LabError(`switch: ${line}: ${answer.replace(/^error: /, '')}`);
    return answer.length > 3 ? JSON.parse(answer.slice(3)) : undefined;
  }

  async stop(): Promise<void> {
    this.#process.stdin.end();
    await this.#exited;
  }
}
