import assert from 'node:assert/strict';
import {
  type ChildProcess,
  type ChildProcessByStdio,
  execFile,
  execFileSync,
  spawn,
  spawnSync,
} from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync, readlinkSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { KernelError } from '../../src/kernel/error.ts';
import type { Kernel } from '../../src/kernel/kernel.ts';
import { openKernel } from '../../src/kernel/native.ts';
import { host, type Link, type Netns } from '../../src/kernel/state.ts';

/** What a test on the real kernel has at hand. Namespaces are fresh and go away with the test, also when it fails. */
export type Bench = {
  readonly kernel: Kernel;
  netns(): Promise<Netns>;
  /** Undone after the test, also when it fails, last in first out. */
  defer(undo: () => unknown): void;
};

/** One test on the real kernel: needs root, leaves no namespace and no file descriptor behind. */
export function kernelTest(name: string, body: (bench: Bench) => Promise<void>): void {
  const skip = process.getuid?.() === 0 ? false : 'needs CAP_NET_ADMIN and CAP_SYS_ADMIN: run as root';
  test(name, { skip, timeout: 180_000 }, async () => {
    const before = descriptors();
    const kernel = openKernel();
    const undos: (() => unknown)[] = [];
    const bench: Bench = {
      kernel,
      defer: (undo) => void undos.push(undo),
      async netns() {
        const name = `warren-t${randomInt(2 ** 40).toString(36)}`;
        await kernel.apply(host, [{ op: 'netns.add', name }]);
        undos.push(() => kernel.apply(host, [{ op: 'netns.del', name }]));
        return { path: `/run/netns/${name}` };
      },
    };
    try {
      await body(bench);
    } finally {
      for (const undo of undos.reverse()) await undo();
      await kernel.close();
    }
    await eventually(() => assert.deepEqual(leaked(before), [], 'file descriptors left open'));
  });
}

/** Sockets and namespaces among our file descriptors: what must not be left behind. */
function descriptors(): string[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      const target = readlinkSync(`/proc/self/fd/${fd}`);
      return /^(socket:|net:|anon_inode:inotify|\/run\/netns)/.test(target) ? [`${fd} ${target}`] : [];
    } catch {
      return []; // the descriptor readdir itself used
    }
  });
}

function leaked(before: readonly string[]): string[] {
  return descriptors().filter((fd) => !before.includes(fd));
}

/**
 * Waits for a condition, never for a time. Its assertions need a message: to make one up, a failing assert.ok() reads and
 * parses its own source, which takes minutes in a guest.
 */
export async function eventually(check: () => unknown, within = 5000): Promise<void> {
  const deadline = Date.now() + within;
  for (;;) {
    try {
      return void (await check());
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await sleep(20);
    }
  }
}

export function nameOf(netns: Netns): string {
  return netns.path.slice('/run/netns/'.length);
}

/** A plain link that can be made by itself: dummy, or ifb where the kernel has no dummy. */
export const plain = spawnSync('unshare', ['-n', 'ip', 'link', 'add', 'type', 'dummy']).status === 0 ? 'dummy' : 'ifb';

/** Runs a command inside a namespace while this process goes on. */
export async function later(netns: Netns, command: string, ...args: string[]): Promise<string> {
  const running = promisify(execFile)('ip', ['netns', 'exec', nameOf(netns), command, ...args], { timeout: 60_000 });
  return (await running).stdout;
}

/** A TCP connection from inside a namespace, open until its process is killed; what comes is on its stdout. */
export function connect(netns: Netns, address: string, port: number): ChildProcessByStdio<null, Readable, null> {
  const script = `exec 3<>/dev/tcp/${address}/${port}; exec cat <&3`;
  return spawn('ip', ['netns', 'exec', nameOf(netns), 'bash', '-c', script], { stdio: ['ignore', 'pipe', 'inherit'] });
}

/** Ends a process that may have ended. */
export async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}

/** Runs a command inside a namespace; with a socket for its input, as Node gives, bash would read ~/.bashrc first. */
export function inside(netns: Netns, command: string, ...args: string[]): string {
  return execFileSync('ip', ['netns', 'exec', nameOf(netns), command, ...args], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    maxBuffer: 1 << 26,
    timeout: 60_000,
  });
}

// biome-ignore lint/suspicious/noExplicitAny: iproute2's JSON has no types
type Json = any;

/** `ip -j -d …`: the first independent reader. */
export function ip(netns: Netns, ...args: string[]): Json[] {
  const text = execFileSync('ip', ['-n', nameOf(netns), '-j', '-d', ...args], {
    encoding: 'utf8',
    maxBuffer: 1 << 26,
    timeout: 60_000,
  });
  return text.trim() === '' ? [] : JSON.parse(text).filter((item: object) => Object.keys(item).length > 0);
}

/** `bridge -j …`. */
export function bridge(netns: Netns, ...args: string[]): Json[] {
  const text = execFileSync('bridge', ['-n', nameOf(netns), '-j', '-d', ...args], {
    encoding: 'utf8',
    maxBuffer: 1 << 26,
    timeout: 60_000,
  });
  return text.trim() === '' ? [] : JSON.parse(text);
}

/** The npm package netlink in a child process inside the namespace: a second decoder, not written by us. */
export function npmNetlink(netns: Netns): { links: Json[]; addrs: Json[] } {
  const script = fileURLToPath(new URL('../../test/netns/npm-netlink.cjs', import.meta.url));
  return JSON.parse(inside(netns, process.execPath, script));
}

/** Expects a KernelError with these fields. */
export async function refuses(promise: Promise<unknown>, fields: Partial<KernelError>): Promise<void> {
  await assert.rejects(promise, (error) => {
    assert.ok(error instanceof KernelError, `a KernelError, not ${error}`);
    for (const [key, value] of Object.entries(fields)) assert.equal(error[key as keyof KernelError], value, key);
    return true;
  });
}

/** VNIs are one space for all tests that run at the same time. */
export function randomVni(): number {
  return randomInt(1, 2 ** 24);
}

export function vxlan(name: string, vni = randomVni()): Link {
  return { name, kind: 'vxlan', vxlan: { vni, local: '127.0.0.1', port: 14789, learning: false, proxy: true } };
}

export function mac(n: number): string {
  const hex = n.toString(16).padStart(8, '0');
  return `02:00:${hex.slice(0, 2)}:${hex.slice(2, 4)}:${hex.slice(4, 6)}:${hex.slice(6, 8)}`;
}
