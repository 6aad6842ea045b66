import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';

export type RedisServer = {
  /** For openStore. */
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** A client of the test's own, to look at keys or break things; closed with the server. */
  readonly admin: Redis;
  stop(): Promise<void>;
};

/**
 * A redis-server of its own in a temporary directory, on a Unix socket, or on a loopback port (a replica needs one).
 * It dies with this process, however that ends short of SIGKILL.
 */
export async function startRedis({
  args = [],
  port = 0,
  password = '',
}: {
  args?: string[];
  port?: number;
  password?: string;
} = {}): Promise<RedisServer> {
  const dir = mkdtempSync(join(tmpdir(), 'warren-redis-'));
  const socket = join(dir, 'redis.sock');
  const place = port ? ['--port', String(port), '--bind', '127.0.0.1'] : ['--port', '0'];
  const child = spawn(
    'redis-server',
    [
      '--dir',
      dir,
      '--unixsocket',
      socket,
      '--save',
      '',
      '--appendonly',
      'no',
      ...place,
      ...(password ? ['--requirepass', password] : []),
      ...args,
    ],
    { stdio: 'ignore' },
  );
  const kill = () => {
    child.kill('SIGKILL');
    rmSync(dir, { recursive: true, force: true });
  };
  process.on('exit', kill);
  const ended = new Promise<void>((resolve) => child.on('exit', () => resolve()));
  for (let i = 0; !existsSync(socket); i++) {
    if (i > 500 || child.exitCode !== null) {
      kill();
      throw new Error('redis-server did not start; is it installed?');
    }
    await sleep(10);
  }
  const admin = new Redis({ path: socket, disableClientInfo: true, ...(password ? { password } : {}) });
  admin.on('error', () => {});
  return {
    url: port ? `redis://127.0.0.1:${port}` : `redis+unix://${socket}`,
    port,
    pid: child.pid as number,
    admin,
    async stop() {
      admin.disconnect();
      kill();
      await ended;
      process.off('exit', kill);
    },
  };
}

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}
