import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ViewLog } from '../store/mirror.ts';
import { writePrivate } from './config.ts';
import type { Log } from './log.ts';

const smallest = 1 << 20;

/**
 * The view on disk, so that an agent that starts without its store, or finds less in it than there was, knows what it knew.
 * Written before anybody is told that an attach is done. Not synced to the device: what a host's crash undoes is gone from its
 * kernel too.
 */
export class ViewFile implements ViewLog {
  readonly #path: string;
  readonly #log: Log;
  #whole = 0;
  /** Bytes added since it was written as a whole; Infinity: it must be. */
  #added = Number.POSITIVE_INFINITY;
  #failing = false;

  constructor(stateDir: string, log: Log) {
    this.#path = join(stateDir, 'view.ndjson');
    this.#log = log;
  }

  read(): string | undefined {
    return existsSync(this.#path) ? readFileSync(this.#path, 'utf8') : undefined;
  }

  write(text: string): void {
    const written = this.#try(() => writePrivate(this.#path, `${text}\n`));
    this.#whole = text.length;
    this.#added = written ? 0 : Number.POSITIVE_INFINITY;
  }

  append(line: string): boolean {
    if (this.#added > Math.max(smallest, this.#whole)) return false;
    this.#added += line.length;
    // A line that is only half there would hide all that follow.
    return this.#try(() => appendFileSync(this.#path, `${line}\n`));
  }

  /** A full disk is no reason not to serve; it is said once. */
  #try(write: () => void): boolean {
    try {
      write();
      this.#failing = false;
      return true;
    } catch (error) {
      if (!this.#failing) this.#log.error('the view cannot be saved', { error: (error as Error).message });
      this.#failing = true;
      return false;
    }
  }
}
