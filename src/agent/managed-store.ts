import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { WarrenError } from '../model/error.ts';
import type { Ip } from '../model/ip.ts';
import { familyOf } from '../model/ip.ts';
import type { Paths } from './config.ts';
import { writePrivate } from './private-file.ts';

const run = promisify(execFile);
export const managedStorePort = 7651;

/**
 * A Redis of our own for clusters that have none: the distribution's redis-server with our configuration, append-only,
 * behind a password, a daemon that outlives the agent. The answer is its URL.
 */
export async function startManagedStore(paths: Paths, address: Ip): Promise<string> {
  const dir = join(paths.stateDir, 'redis');
  const file = join(dir, 'redis.conf');
  const password = existsSync(file) ? passwordIn(file) : randomBytes(24).toString('base64url');
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const lines = [
    `bind 127.0.0.1 ${address}`,
    `port ${managedStorePort}`,
    'daemonize yes',
    `pidfile ${join(dir, 'redis.pid')}`,
    `logfile ${join(dir, 'redis.log')}`,
    `dir ${dir}`,
    'appendonly yes',
    `requirepass ${password}`,
  ];
  writePrivate(file, `${lines.join('\n')}\n`);
  try {
    await run('redis-server', [file]);
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    throw new WarrenError(
      'store_unreachable',
      missing
        ? 'there is no redis-server here to run a store with'
        : `redis-server does not start: ${(error as Error).message}`,
      missing
        ? 'install it (apt-get install redis-server), or name a store with --store'
        : `see ${join(dir, 'redis.log')}`,
    );
  }
  const host = familyOf(address) === 6 ? `[${address}]` : address;
  return `redis://:${password}@${host}:${managedStorePort}`;
}

/** Ends it, and with `forget` removes its data too. Only the process our pid file names, and only if it is a redis-server. */
export async function stopManagedStore(paths: Paths, forget: boolean): Promise<void> {
  const dir = join(paths.stateDir, 'redis');
  const pid = existsSync(join(dir, 'redis.pid')) ? Number(readFileSync(join(dir, 'redis.pid'), 'utf8')) : 0;
  if (pid > 1 && isRedis(pid)) {
    process.kill(pid, 'SIGTERM');
    for (let tries = 0; isRedis(pid) && tries < 500; tries++) await new Promise((resolve) => setTimeout(resolve, 10));
  }
  if (forget) rmSync(dir, { recursive: true, force: true });
}

function isRedis(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('redis-server');
  } catch {
    return false;
  }
}

function passwordIn(file: string): string {
  return /^requirepass (\S+)$/m.exec(readFileSync(file, 'utf8'))?.[1] ?? randomBytes(24).toString('base64url');
}
