import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { WarrenError } from '../model/error.ts';
import type { Ip } from '../model/ip.ts';
import { familyOf } from '../model/ip.ts';
import type { Paths } from './config.ts';
import type { Log } from './log.ts';
import { pkiPaths } from './pki-files.ts';
import { writePrivate } from './private-file.ts';
import { inUnit } from './unit.ts';

const run = promisify(execFile);
export const managedStorePort = 7651;
/** All networks, endpoints and services of a big cluster are some 200 MB. */
const memory = '1gb';
const lookMs = 1000;
const manager = 'warren';

/**
 * A Redis of our own for clusters that have none: the distribution's redis-server with our configuration, a daemon that
 * outlives the agent. TLS only, for hosts with a certificate of the cluster's CA; a user for every node (store/users.ts);
 * append-only; full is an error, never an eviction. REQUIRES: the host's certificate. The answer is its URL.
 */
export async function startManagedStore(paths: Paths, address: Ip): Promise<string> {
  const dir = folderOf(paths);
  const pki = pkiPaths(paths.stateDir);
  const [conf, users, secret] = ['redis.conf', 'users.acl', 'password'].map((name) => join(dir, name)) as [
    string,
    string,
    string,
  ];
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const password = existsSync(secret) ? readFileSync(secret, 'utf8') : randomBytes(24).toString('base64url');
  const hash = createHash('sha256').update(password).digest('hex');
  writePrivate(secret, password);
  if (!existsSync(users)) writePrivate(users, `user default off\nuser ${manager} on #${hash} ~* &* +@all\n`);
  const lines = [
    `bind 127.0.0.1 ${address}`,
    'port 0',
    `tls-port ${managedStorePort}`,
    `tls-cert-file ${pki.certificate}`,
    `tls-key-file ${pki.key}`,
    `tls-ca-cert-file ${pki.caCertificate}`,
    'tls-auth-clients yes',
    'daemonize yes',
    `pidfile ${join(dir, 'redis.pid')}`,
    `logfile ${join(dir, 'redis.log')}`,
    `dir ${dir}`,
    'appendonly yes',
    `maxmemory ${memory}`,
    'maxmemory-policy noeviction',
    `aclfile ${users}`,
  ];
  writePrivate(conf, `${lines.join('\n')}\n`);
  await runRedis(dir);
  const host = familyOf(address) === 6 ? `[${address}]` : address;
  return `rediss://${manager}:${password}@${host}:${managedStorePort}`;
}

/** Starts it again whenever it is not there. Returns what ends that; the store goes on. */
export function watchManagedStore(paths: Paths, log: Log): () => void {
  let busy = false;
  const timer = setInterval(async () => {
    if (busy || running(paths)) return;
    busy = true;
    try {
      await runRedis(folderOf(paths));
      log.warn('the cluster’s store had ended; it runs again');
    } catch (error) {
      log.warn('the cluster’s store does not run', { error: (error as Error).message });
    } finally {
      busy = false;
    }
  }, lookMs);
  return () => clearInterval(timer);
}

async function runRedis(dir: string): Promise<void> {
  try {
    // What it writes, its users among it, is for nobody else's eyes either.
    const plain = ['sh', '-c', 'umask 077; exec redis-server "$1"', 'sh', join(dir, 'redis.conf')] as const;
    const [program, ...args] = inUnit('store', plain);
    await run(program, args);
  } catch (error) {
    const missing = (error as { code?: number | string }).code === 127;
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
}

/** Ends it, and with `forget` removes its data too. Only the process our pid file names, and only if it is a redis-server. */
export async function stopManagedStore(paths: Paths, forget: boolean): Promise<void> {
  const pid = running(paths);
  if (pid) {
    process.kill(pid, 'SIGTERM');
    for (let tries = 0; isRedis(pid) && tries < 500; tries++) await new Promise((resolve) => setTimeout(resolve, 10));
  }
  if (forget) rmSync(folderOf(paths), { recursive: true, force: true });
}

const folderOf = (paths: Paths): string => join(paths.stateDir, 'redis');

function running(paths: Paths): number | undefined {
  const file = join(folderOf(paths), 'redis.pid');
  const pid = existsSync(file) ? Number(readFileSync(file, 'utf8')) : 0;
  return pid > 1 && isRedis(pid) ? pid : undefined;
}

function isRedis(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('redis-server');
  } catch {
    return false;
  }
}
