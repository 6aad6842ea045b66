import { mkdirSync, readdirSync, readFileSync, rmSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import type { Ends, PairState } from '../keys/pair.ts';
import { formatSession, parseSession } from '../keys/session.ts';
import type { NodeId } from '../model/id.ts';
import { Secret } from '../model/secret.ts';
import { writePrivate } from './private-file.ts';

/** statfs(2): tmpfs, ramfs. */
const inMemory: readonly number[] = [0x01021994, 0x858458f6];

/**
 * What pairs have agreed on, for the next agent of this boot: RUN-DIR/keys/NODE. Private halves are among it, so that it is
 * kept in memory only; where the run directory is on a disk nothing is written, and a new agent agrees anew.
 */
export class PairFiles {
  readonly #dir: string;
  readonly #boot: string;
  readonly kept: boolean;

  constructor(runDir: string, boot: string) {
    this.#dir = join(runDir, 'keys');
    this.#boot = boot;
    mkdirSync(this.#dir, { recursive: true, mode: 0o700 });
    this.kept = inMemory.includes(statfsSync(this.#dir).type);
  }

  /** undefined: there is none, or none that can be used. */
  read(ends: Ends): PairState | undefined {
    if (!this.kept) return undefined;
    let bytes: Secret;
    try {
      bytes = new Secret(readFileSync(join(this.#dir, ends.peer.id)));
    } catch {
      return undefined;
    }
    try {
      return parseSession({ boot: this.#boot, ends }, bytes);
    } finally {
      bytes.wipe();
    }
  }

  write(ends: Ends, state: PairState): void {
    if (!this.kept) return;
    const bytes = formatSession({ boot: this.#boot, ends }, state);
    try {
      writePrivate(join(this.#dir, ends.peer.id), bytes.reveal());
    } finally {
      bytes.wipe();
    }
  }

  /** Only those of these nodes stay. */
  keep(peers: ReadonlySet<NodeId>): void {
    for (const name of readdirSync(this.#dir)) {
      if (!peers.has(name as NodeId)) rmSync(join(this.#dir, name), { force: true });
    }
  }
}
