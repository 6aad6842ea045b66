import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import type { View } from '../model/view.ts';
import { Replica, type ViewChange } from '../store/replica.ts';
import { readEntry } from '../store/view-text.ts';

/** What happened to the view; undefined: it was read as a whole. */
export type Listener = (view: View, changes: readonly ViewChange[] | undefined) => void;

const newline = 10;

/**
 * The view that the agent keeps on disk (agent/view-file.ts), followed as it grows. It is the agent's last word: with no store,
 * and with no agent, it stays what it was.
 *
 *   another file (it is replaced as a whole), or a shorter one ──► all of it
 *   more of the same ──► only the lines that are new; one that is not whole yet is read again
 */
export class Feed {
  readonly #path: string;
  readonly #listener: Listener;
  #file = '';
  /** Bytes taken in: the end of a line. */
  #offset = 0;
  #replica: Replica | undefined;

  constructor(stateDir: string, listener: Listener) {
    this.#path = join(stateDir, viewFile);
    this.#listener = listener;
  }

  /** Takes in what is new, if anything is. */
  look(): void {
    let fd: number;
    try {
      fd = openSync(this.#path, 'r');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return; // the agent has never reached its store
      throw error;
    }
    try {
      const { ino, dev, size } = fstatSync(fd);
      const file = `${dev}:${ino}`;
      if (file !== this.#file || size < this.#offset) this.#whole(fd, file, size);
      else if (size > this.#offset) this.#more(fd, size);
    } finally {
      closeSync(fd);
    }
  }

  #whole(fd: number, file: string, size: number): void {
    const text = readFrom(fd, 0, size);
    const replica = Replica.read(text.toString('utf8'));
    this.#file = file;
    this.#offset = text.lastIndexOf(newline) + 1;
    // Another version's, or damaged: the next one will be whole, and until then the last good one serves.
    if (!replica) return;
    this.#replica = replica;
    if (replica.view) this.#listener(replica.view, undefined);
  }

  #more(fd: number, size: number): void {
    const text = readFrom(fd, this.#offset, size);
    const end = text.lastIndexOf(newline) + 1;
    const changes: ViewChange[] = [];
    for (const line of text.toString('utf8', 0, end).split('\n')) {
      const entry = readEntry(line);
      if (entry && this.#replica) changes.push(...this.#replica.apply(entry));
    }
    this.#offset += end;
    if (end > 0 && this.#replica?.view) this.#listener(this.#replica.view, changes);
  }
}

export const viewFile = 'view.ndjson';

function readFrom(fd: number, start: number, end: number): Buffer {
  const bytes = Buffer.alloc(end - start);
  let done = 0;
  while (done < bytes.length) {
    const count = readSync(fd, bytes, done, bytes.length - done, start + done);
    if (count === 0) break;
    done += count;
  }
  return bytes.subarray(0, done);
}
