import {
  closeSync,
  existsSync,
  fstatSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { type Identity, type IdentityKey, importIdentity, newIdentity } from '../keys/identity.ts';
import { WarrenError } from '../model/error.ts';
import { Secret } from '../model/secret.ts';

/**
 * This node's identity on disk. Others have pinned it: one that is lost or damaged is never silently replaced, as all peers
 * would refuse the new one without anybody here knowing why.
 */
export const identityPath = (stateDir: string): string => join(stateDir, 'identity.key');

/** The node's. `known`: it has announced one before; only a node that never did gets a new one. */
export function openIdentity(stateDir: string, known: boolean): Identity {
  const path = identityPath(stateDir);
  const found = readIdentity(path);
  if (found) return found;
  if (known) throw unusable(path, 'is gone, though this node has announced one');
  createIdentity(path);
  return readIdentity(path) ?? fail(path);
}

/** For whoever makes a member of this host: its identity from now on, and what takes that back. */
export function claimIdentity(stateDir: string): { key: IdentityKey; undo: () => void } {
  const path = identityPath(stateDir);
  const there = existsSync(path);
  const { key } = openIdentity(stateDir, false);
  return { key, undo: () => !there && rmSync(path, { force: true }) };
}

/** undefined: there is no such file. */
function readIdentity(path: string): Identity | undefined {
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw unusable(path, `cannot be read: ${(error as Error).message}`);
  }
  try {
    const { mode, uid } = fstatSync(file);
    if ((mode & 0o077) !== 0)
      throw unusable(
        path,
        `can be read by others (mode ${(mode & 0o777).toString(8).padStart(4, '0')})`,
        `if nobody has: chmod 600 ${path}; otherwise this host needs a new identity: warren leave, then warren init`,
      );
    if (uid !== process.getuid?.()) throw unusable(path, `belongs to another user (${uid})`, `chown it: ${path}`);
    const bytes = new Secret(readFileSync(file));
    try {
      return importIdentity(bytes);
    } catch (error) {
      throw unusable(path, `is damaged: ${(error as Error).message}`);
    } finally {
      bytes.wipe();
    }
  } finally {
    closeSync(file);
  }
}

/** Whole and on the device before anybody hears of it, 0600; one that is there is never written over. */
function createIdentity(path: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const fresh = `${path}.${process.pid}`;
  const bytes = newIdentity().export();
  rmSync(fresh, { force: true });
  const file = openSync(fresh, 'wx', 0o600);
  try {
    writeSync(file, bytes.reveal());
    fsyncSync(file);
    linkSync(fresh, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    bytes.wipe();
    closeSync(file);
    rmSync(fresh, { force: true });
  }
  const folder = openSync(dirname(path), 'r');
  fsyncSync(folder);
  closeSync(folder);
}

function unusable(path: string, what: string, hint?: string): WarrenError {
  return new WarrenError(
    'identity_unusable',
    `this node's identity, ${path}, ${what}`,
    hint ?? 'restore it from a backup, or give this host a new identity: warren leave, then warren init',
  );
}

function fail(path: string): never {
  throw unusable(path, 'was removed while it was made');
}
