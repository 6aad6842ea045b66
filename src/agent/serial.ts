/** Runs what has the same key one after the other; what has another key goes on meanwhile. */
export class Serial {
  readonly #tails = new Map<string, Promise<unknown>>();
  #ended = 0;

  /** How many have ended. What was seen when it was the same number is as it was when one's turn came. */
  get ended(): number {
    return this.#ended;
  }

  async run<T>(key: string, work: () => Promise<T>): Promise<T> {
    const before = this.#tails.get(key);
    const mine = (before ?? Promise.resolve()).then(work, work);
    this.#tails.set(key, mine);
    try {
      return await mine;
    } finally {
      this.#ended++;
      if (this.#tails.get(key) === mine) this.#tails.delete(key);
    }
  }
}
