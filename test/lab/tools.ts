/** What a lab is made of besides TypeScript: the guest kernel and two C programs, all kept in the user's cache. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, statfsSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export class LabError extends Error {
  override name = 'LabError';
}

export const here = fileURLToPath(new URL('.', import.meta.url)).replace(/\/$/, '');
export const project = join(here, '../..');

/** The kernel scripts/lab-kernel built; that script alone knows where it lives. LAB_KERNEL names another one. */
export function kernel(): string {
  const path =
    process.env.LAB_KERNEL ??
    execFileSync(join(project, 'scripts/lab-kernel'), ['--path'], { encoding: 'utf8' }).trim();
  if (!existsSync(path))
    throw new LabError(`the lab kernel ${path} is not there; build it with scripts/lab-kernel (8 to 13 minutes, once)`);
  return path;
}

/** Compiles test/lab/NAME.c once per content and returns the program's path. */
export function compile(name: 'labsw' | 'labagent'): string {
  const source = join(here, `${name}.c`);
  const flags = ['-O2', '-Wall', '-static'];
  const hash = createHash('sha256').update(flags.join(' ')).update(readFileSync(source)).digest('hex').slice(0, 16);
  const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'warren', 'lab-tools');
  const program = join(cache, `${name}-${hash}`);
  if (existsSync(program)) return program;
  mkdirSync(cache, { recursive: true });
  // Test files run at the same time: each compiles for itself, and the rename makes one of them the result.
  const mine = `${program}.${process.pid}`;
  try {
    execFileSync('gcc', [...flags, '-o', mine, source], { stdio: ['ignore', 'ignore', 'pipe'], encoding: 'utf8' });
  } catch (error) {
    throw new LabError(`cannot compile ${source}; scripts/setup test installs a compiler`, { cause: error });
  }
  renameSync(mine, program);
  return program;
}

/** Where guests keep their memory: an unlinked, sparse file each. Containers often have a /dev/shm of 64 MB. */
export function memoryDirectory(): string {
  if (process.env.LAB_MEMDIR) return process.env.LAB_MEMDIR;
  try {
    const shm = statfsSync('/dev/shm');
    if (shm.bavail * shm.bsize > 1 << 30) return '/dev/shm';
  } catch {
    // No /dev/shm at all: the disk is slower, but it does.
  }
  return tmpdir();
}
