import { existsSync, readFileSync, rmSync } from 'node:fs';
import { writePrivate } from './private-file.ts';

/** What the host's own sysctls were before warren set them, kept on disk so that `leave` can put them back. */
export class HostSysctls {
  readonly #path: string;
  #before: Record<string, string>;

  constructor(path: string) {
    this.#path = path;
    this.#before = existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : {};
  }

  get before(): Readonly<Record<string, string>> {
    return this.#before;
  }

  /** Only the first value counts: later ones are ours. */
  remember(values: Readonly<Record<string, string>>): void {
    const fresh = Object.entries(values).filter(([key]) => !(key in this.#before));
    if (fresh.length === 0) return;
    this.#before = { ...this.#before, ...Object.fromEntries(fresh) };
    writePrivate(this.#path, JSON.stringify(this.#before));
  }

  forget(): void {
    this.#before = {};
    rmSync(this.#path, { force: true });
  }
}
