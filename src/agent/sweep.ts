import type { Kernel } from '../kernel/kernel.ts';
import { Flights } from '../store/flight.ts';

/**
 * Deletes groups of links in the background, all that have gathered meanwhile at once: a detach does not wait for it, and what
 * is not deleted now (the agent dies, the kernel refuses) the next whole pass finds.
 */
export class Sweeper {
  readonly #flights: Flights<string>;
  /** Containers' namespaces whose ends go with the next sweep. */
  readonly #expected: string[] = [];
  readonly #waited = new Map<string, Promise<void>>();

  constructor(kernel: Kernel, group: number) {
    this.#flights = new Flights((path) => kernel.apply({ path }, [{ op: 'link.delgroup', group }]));
  }

  /** REQUIRES: a sweep() of what leads there follows. */
  expect(path: string): void {
    this.#expected.push(path);
  }

  sweep(path: string): void {
    const done = this.#flights.run(path).catch(() => {});
    for (const end of this.#expected.splice(0)) {
      this.#waited.set(end, done);
      void done.then(() => this.#waited.get(end) === done && this.#waited.delete(end));
    }
  }

  /** Is something that was detached from a namespace still in it? */
  sweeping(path: string): boolean {
    return this.#waited.has(path);
  }

  /** Resolves when what was detached from a namespace is out of it. */
  async swept(path: string): Promise<void> {
    await this.#waited.get(path);
  }
}
