import { closeSync, fsyncSync, openSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import * as z from 'zod';
import type { Refusal } from '../keys/announcement.ts';
import type { IdentityKey } from '../keys/identity.ts';
import { isBytesText, keyLength } from '../keys/identity.ts';
import { judgeIdentity } from '../keys/pin.ts';
import { WarrenError } from '../model/error.ts';
import type { NodeId } from '../model/id.ts';
import { idPattern } from '../model/id.ts';
import type { Authority } from './authority.ts';
import { writePrivate } from './private-file.ts';

const shape = z.record(
  z.string().regex(idPattern),
  z.string().refine((text) => isBytesText(text, keyLength)),
);

/** The identities this node has seen, on disk: whoever comes with another one later is refused, also after a restart. */
export class Pins {
  readonly #path: string;
  readonly #pins: Map<NodeId, IdentityKey>;
  readonly #authority: Authority | undefined;

  /** Throws when the file is there and cannot be read: to begin anew silently would be to trust anybody. */
  constructor(stateDir: string, authority: Authority | undefined) {
    this.#authority = authority;
    this.#path = join(stateDir, 'identities.json');
    this.#pins = read(this.#path);
  }

  get(node: NodeId): IdentityKey | undefined {
    return this.#pins.get(node);
  }

  /**
   * Pins what the CA has certified, also in place of another; without a CA that everybody came in by, at first sight. undefined:
   * it is the one we know.
   */
  judge(node: NodeId, identity: IdentityKey, statement: string | undefined): Refusal | undefined {
    const judged = judgeIdentity(this.#pins, node, identity);
    if (judged === 'accept') return undefined;
    if (judged === 'identity_shared') return judged;
    if (!this.#authority?.certifies(node, identity, statement)) {
      if (judged !== 'pin') return judged;
      if (this.#authority?.required) return 'identity_uncertified';
    }
    this.#write(new Map([...this.#pins, [node, identity]]));
    this.#pins.set(node, identity);
    return undefined;
  }

  /** The next identity seen of that node is the first again. false: there was none. */
  forget(node: NodeId): boolean {
    if (!this.#pins.has(node)) return false;
    this.#write(new Map([...this.#pins].filter(([id]) => id !== node)));
    return this.#pins.delete(node);
  }

  /** On the device before anything is done with it. */
  #write(pins: ReadonlyMap<NodeId, IdentityKey>): void {
    writePrivate(this.#path, `${JSON.stringify(Object.fromEntries(pins), null, 2)}\n`);
    for (const path of [this.#path, dirname(this.#path)]) {
      const file = openSync(path, 'r');
      fsyncSync(file);
      closeSync(file);
    }
  }
}

function read(path: string): Map<NodeId, IdentityKey> {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return new Map();
    throw unusable(path, (error as Error).message);
  }
  try {
    return new Map(Object.entries(shape.parse(JSON.parse(text))) as [NodeId, IdentityKey][]);
  } catch (error) {
    throw unusable(path, error instanceof z.ZodError ? 'it is not node ids with keys' : (error as Error).message);
  }
}

function unusable(path: string, why: string): WarrenError {
  return new WarrenError(
    'identity_unusable',
    `the identities of the other nodes, ${path}, cannot be read: ${why}`,
    'restore the file from a backup; or remove it, and compare fingerprints in: warren node ls',
  );
}
