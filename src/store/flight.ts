type Flight = { now: Promise<void>; next: Promise<void> | undefined };

/**
 * At most one run per key at a time, and one more waiting: whoever asks while one is under way gets a run that began
 * after he asked, shared with all others who wait.
 */
export class Flights<Key> {
  readonly #run: (key: Key) => Promise<void>;
  readonly #flights = new Map<Key, Flight>();

  constructor(run: (key: Key) => Promise<void>) {
    this.#run = run;
  }

  run(key: Key): Promise<void> {
    const flight = this.#flights.get(key);
    if (!flight) return this.#begin(key);
    flight.next ??= flight.now.catch(() => {}).then(() => this.#begin(key));
    return flight.next;
  }

  async idle(): Promise<void> {
    while (this.#flights.size > 0) {
      await Promise.allSettled([...this.#flights.values()].map(({ now, next }) => next ?? now));
    }
  }

  #begin(key: Key): Promise<void> {
    const flight: Flight = { now: this.#run(key), next: undefined };
    this.#flights.set(key, flight);
    flight.now
      .catch(() => {})
      .finally(() => {
        if (this.#flights.get(key) === flight && !flight.next) this.#flights.delete(key);
      });
    return flight.now;
  }
}
