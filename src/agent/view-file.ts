import { appendFileSync, closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ViewLog } from '../store/mirror.ts';
import type { Log } from './log.ts';
import { writePrivate } from './private-file.ts';

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
  /** Open for adding to what was written last: opening it again each time is most of what a line costs. */
  #fd: number | undefined;

  constructor(stateDir: string, log: Log) {
    this.#path = join(stateDir, 'view.ndjson');
    this.#log = log;
  }

  read(): string | undefined {
    return existsSync(this.#path) ? readFileSync(this.#path, 'utf8') : undefined;
  }

  write(text: string): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
    const written = this.#try(() => {
      writePrivate(this.#path, `${text}\n`);
      this.#fd = openSync(this.#path, 'a');
    });
    this.#whole = text.length;
    this.#added = written ? 0 : Number.POSITIVE_INFINITY;
  }

  append(line: string): boolean {
    const fd = this.#fd;
    if (fd === undefined || this.#added > Math.max(smallest, this.#whole)) return false;
    this.#added += line.length;
    // A line that is only half there would hide all that follow.
    return this.#try(() => appendFileSync(fd, `${line}\n`));
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
