/** Key material. Shows as `[secret]` wherever it is printed; only `reveal` gives the bytes. */
export class Secret {
  readonly #bytes: Uint8Array<ArrayBuffer>;

  /**
   * Takes the bytes over: `bytes` is zeroed. The copy is in a buffer of its own, which the garbage collector does not
   * move about: small typed arrays it does, and leaves copies behind that nobody can wipe.
   */
  constructor(bytes: Uint8Array) {
    this.#bytes = new Uint8Array(new ArrayBuffer(bytes.length));
    this.#bytes.set(bytes);
    bytes.fill(0);
  }

  /** The bytes themselves, not a copy: they become zero with `wipe`. */
  reveal(): Uint8Array {
    return this.#bytes;
  }

  wipe(): void {
    this.#bytes.fill(0);
  }

  toString(): string {
    return '[secret]';
  }

  toJSON(): string {
    return '[secret]';
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return '[secret]';
  }
}
