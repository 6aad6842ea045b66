import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { AgentClient } from '../src/agent/protocol.ts';
import type { Series } from './stats.ts';

/**
 * Where benches run: in network, mount and process namespaces of their own, which end with this process, however it ends.
 *
 *   host a (this process)  eth0 10.77.0.1 ──veth── 10.77.0.2 eth0  host b          redis on a socket both see
 */
export const root = fileURLToPath(new URL('..', import.meta.url));
export const warren = `${root}bin/warren`;
/** A tmpfs of ours, the same in both hosts. */
export const scratch = '/mnt';
export const storeUrl = `redis+unix://${scratch}/redis.sock`;

/** Runs this program again inside, and answers with its exit status; undefined: we are inside. */
export function enter(): Promise<number> | undefined {
  if (process.env.WARREN_BENCH === 'inside') return undefined;
  const flags = ['-n', '-m', '-p', '-f', '--kill-child', '--mount-proc', '--'];
  const child = spawn('unshare', [...flags, process.execPath, ...process.execArgv, ...process.argv.slice(1)], {
    stdio: 'inherit',
    env: { ...process.env, WARREN_BENCH: 'inside' },
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => child.kill('SIGKILL'));
  return once(child, 'exit').then(([code]) => (code as number | null) ?? 1);
}

export function sh(script: string): string {
  return execFileSync('sh', ['-ec', script], {
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

/** /etc is a copy: named namespaces that are attached get a resolv.conf there. */
const ownRun =
  'mount -t tmpfs tmpfs /run && mkdir /run/netns && mount --bind /run/netns /run/netns && mount --make-shared /run/netns && cp -a /etc /run/etc && mount --bind /run/etc /etc && ip link set lo up';

export class Host {
  readonly name: string;
  /** Words in front of a command that make it run there. */
  readonly into: readonly string[];
  #agent: ChildProcess | undefined;
  /** What the agent said, parsed. */
  readonly log: { message: string; timestamp: string; [field: string]: unknown }[] = [];

  constructor(name: string, into: readonly string[]) {
    this.name = name;
    this.into = into;
    mkdirSync(`${scratch}/${name}`, { recursive: true });
  }

  get env(): NodeJS.ProcessEnv {
    const dir = `${scratch}/${this.name}`;
    return {
      ...process.env,
      WARREN_CONFIG: `${dir}/config.yaml`,
      WARREN_STATE_DIR: `${dir}/state`,
      WARREN_RUN_DIR: `${dir}/run`,
      NODE_OPTIONS: '',
    };
  }

  get agentPid(): number {
    return this.#agent?.pid ?? 0;
  }

  spawn(command: readonly string[], stdio: 'pipe' | 'ignore' = 'pipe'): ChildProcess {
    const [file = '', ...args] = [...this.into, ...command];
    return spawn(file, args, { env: this.env, stdio });
  }

  run(command: readonly string[], input = ''): string {
    const [file = '', ...args] = [...this.into, ...command];
    return execFileSync(file, args, { env: this.env, encoding: 'utf8', input, stdio: ['pipe', 'pipe', 'pipe'] });
  }

  async startAgent(): Promise<AgentClient> {
    const flags = (process.env.WARREN_BENCH_AGENT ?? '').split(' ').filter((word) => word !== '');
    // As its launcher starts it, or as the flags of an experiment say.
    const agent = this.spawn([...(flags.length > 0 ? [process.execPath, ...flags] : []), warren, 'agent']);
    this.#agent = agent;
    this.log.length = 0;
    createInterface({ input: agent.stderr as NodeJS.ReadableStream }).on('line', (line) => {
      try {
        this.log.push(JSON.parse(line));
        if (/"level":"(warn|error)"/.test(line)) process.stderr.write(`agent ${this.name}: ${line}\n`);
      } catch {
        process.stderr.write(`agent ${this.name}: ${line}\n`);
      }
    });
    const socket = `${scratch}/${this.name}/run/agent.sock`;
    while (!existsSync(socket)) {
      if (agent.exitCode !== null) throw new Error(`the agent of host ${this.name} did not start`);
      await sleep(2);
    }
    return AgentClient.connect(socket);
  }

  async said(message: string): Promise<{ timestamp: string; [field: string]: unknown }> {
    for (;;) {
      const found = this.log.find((line) => line.message === message);
      if (found) return found;
      if (this.#agent?.exitCode !== null) throw new Error(`the agent of host ${this.name} ended`);
      await sleep(2);
    }
  }

  async stopAgent(): Promise<void> {
    const agent = this.#agent;
    this.#agent = undefined;
    if (!agent || agent.exitCode !== null) return;
    agent.kill('SIGTERM');
    await once(agent, 'exit');
  }
}

export type Bench = (place: Place, report: (series: Series) => void, quick: boolean) => Promise<void>;
export type Place = { a: Host; b: Host; stop(): Promise<void> };

export async function build(): Promise<Place> {
  sh(`mount -t tmpfs tmpfs ${scratch} && ${ownRun}`);
  sh(`gcc -std=gnu17 -O2 -Wall -Wextra -Werror -o ${scratch}/floor ${root}bench/floor.c`);
  const other = spawn('unshare', ['-n', '-m', 'sh', '-ec', `${ownRun}; touch ${scratch}/b.up; exec sleep infinity`], {
    stdio: 'ignore',
  });
  while (!existsSync(`${scratch}/b.up`)) await sleep(2);
  sh(`ip link add eth0 type veth peer name eth0 netns ${other.pid}`);
  const a = new Host('a', []);
  const b = new Host('b', ['nsenter', '-t', String(other.pid), '-n', '-m', '--']);
  for (const [host, address] of [
    [a, '10.77.0.1/24'],
    [b, '10.77.0.2/24'],
  ] as const) {
    host.run(['ip', 'addr', 'add', address, 'dev', 'eth0']);
    host.run(['ip', 'link', 'set', 'eth0', 'up']);
  }
  const redis = [
    'redis-server',
    '--port',
    '0',
    '--unixsocket',
    `${scratch}/redis.sock`,
    '--save',
    '',
    '--appendonly',
    'no',
  ];
  const store = spawn(redis[0] as string, redis.slice(1), { stdio: 'ignore', cwd: scratch });
  while (!existsSync(`${scratch}/redis.sock`)) await sleep(2);
  for (const host of [a, b]) {
    while (!host.run(['ip', 'link', 'show', 'eth0']).includes('state UP')) await sleep(5);
    host.run([warren, 'init', '--store', storeUrl, '--advertise', 'eth0', '--name', host.name]);
  }
  return {
    a,
    b,
    stop: async () => {
      await a.stopAgent();
      await b.stopAgent();
      // This namespace lives on, and the kernel ends others in its own time: what is in the way of the next goes now.
      sh(
        'for name in $(ls /run/netns); do for link in vx0 up0; do ip -n $name link del $link 2>/dev/null || true; done; ip netns del $name; done; ip link del eth0',
      );
      other.kill('SIGKILL');
      store.kill('SIGKILL');
    },
  };
}

/** Resident memory of a process, in MB. */
export function rssOf(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
}

/** The configuration file's node id, for wishes written past the agent. */
export function nodeIdOf(host: Host): string {
  return /id: (\w+)/.exec(readFileSync(`${scratch}/${host.name}/config.yaml`, 'utf8'))?.[1] ?? '';
}

export function write(path: string, text: string): string {
  writeFileSync(path, text);
  return path;
}
