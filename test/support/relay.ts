import { fileURLToPath } from 'node:url';
import type { Guest } from '../lab/guest.ts';
import type { Job } from '../lab/job.ts';

const program = fileURLToPath(new URL('relay.mjs', import.meta.url));

/** What an agent answered, as on the command line with `--json`; docs/protocol.md lists the methods. */
export type Answer<T = unknown> = { result: T; error?: never } | { result?: never; error: Refusal };
export type Refusal = { code: string; message: string; hint?: string };

/** Asks the agent of one guest without starting a program for it each time. */
export class Relay {
  readonly #guest: Guest;
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  #job: Job | undefined;
  #next = 1;
  #rest = '';

  constructor(guest: Guest) {
    this.#guest = guest;
  }

  async ask<T>(method: string, params: Record<string, unknown> = {}): Promise<Answer<T>> {
    const id = this.#next++;
    const job = this.#running();
    const answer = new Promise<Answer>((resolve) => this.#waiting.set(id, resolve));
    job.write(`${JSON.stringify({ id, method, params })}\n`);
    return (await answer) as Answer<T>;
  }

  /** It ends with its guest, and starts again with it. */
  #running(): Job {
    if (this.#job && !this.#job.ended) return this.#job;
    this.#rest = '';
    const job = this.#guest.spawn([process.execPath, program], { onStdout: (data) => this.#take(data) });
    this.#job = job;
    void job.done.then(({ stderr }) => {
      const error = { code: 'internal', message: `the relay on ${this.#guest.name} ended ${stderr}` };
      for (const resolve of this.#waiting.values()) resolve({ error });
      this.#waiting.clear();
    });
    return job;
  }

  #take(data: Buffer): void {
    const lines = (this.#rest + data.toString()).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) {
      const { id, ...answer } = JSON.parse(line) as { id: number } & Answer;
      this.#waiting.get(id)?.(answer as Answer);
      this.#waiting.delete(id);
    }
  }
}
