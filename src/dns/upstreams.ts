import { readFileSync, statSync } from 'node:fs';
import { isIP } from 'node:net';

const file = '/etc/resolv.conf';
/** As resolv.conf(5) has it. */
const most = 3;
const none = ['127.0.0.1'];
const lookMs = 1000;

/** The resolvers of this host, as they are now: whoever asks looks whether the file has changed, once a second. */
export class Upstreams {
  readonly #path: string;
  #looked = Number.NEGATIVE_INFINITY;
  #seen = '';
  #servers: readonly string[] = none;

  constructor(path = file) {
    this.#path = path;
  }

  /** `ours`: asking those would be asking ourselves. */
  servers(ours: ReadonlySet<string>): readonly string[] {
    const now = performance.now();
    if (now - this.#looked >= lookMs) {
      this.#looked = now;
      this.#look();
    }
    return this.#servers.filter((server) => !ours.has(server));
  }

  #look(): void {
    try {
      const { ino, mtimeMs, size } = statSync(this.#path);
      const seen = `${ino} ${mtimeMs} ${size}`;
      if (seen === this.#seen) return;
      this.#servers = readServers(readFileSync(this.#path, 'utf8'));
      this.#seen = seen;
    } catch {
      // It is being replaced, or there is none: the last ones are as good as any.
    }
  }
}

/** Exported for the test. */
export function readServers(text: string): readonly string[] {
  const servers = text
    .split('\n')
    .map((line) => /^nameserver\s+(\S+)/.exec(line)?.[1] ?? '')
    .filter((server) => isIP(server) !== 0);
  return servers.length > 0 ? servers.slice(0, most) : none;
}
