import { spawn } from 'node:child_process';
import { get } from 'node:http';
import { Socket } from 'node:net';
import type { Kernel } from '../kernel/kernel.ts';
import type { Endpoint } from '../model/endpoint.ts';
import type { Ip } from '../model/ip.ts';
import { familyOf } from '../model/ip.ts';
import type { Service } from '../model/service.ts';
import { endpointNetns } from '../plan/desired/endpoint.ts';

/**
 * Asks a backend once whether it serves, from inside its own namespace: nothing on the way there can be the reason for an
 * answer. Does not throw, and answers within the check's timeout.
 */
export async function check(
  kernel: Kernel,
  { health, ports }: Service,
  endpoint: Endpoint,
  signal: AbortSignal,
): Promise<boolean> {
  const within = AbortSignal.any([signal, AbortSignal.timeout(health.timeout)]);
  const target = ports.find(({ proto }) => proto === 'tcp')?.target;
  const address = endpoint.addresses[0];
  try {
    if (health.check === 'none') return true;
    if (health.check === 'exec') return await succeeds(endpoint.netns, health.command ?? '', within);
    if (target === undefined || address === undefined) return false;
    const socket = await inside(kernel, endpoint, address);
    const abort = () => socket.destroy(new Error('timed out'));
    within.addEventListener('abort', abort, { once: true });
    try {
      if (within.aborted) return false;
      return await (health.check === 'tcp'
        ? connects(socket, address, target)
        : responds(socket, address, target, health.path ?? '/'));
    } finally {
      within.removeEventListener('abort', abort);
      socket.destroy();
    }
  } catch {
    return false;
  }
}

/** A socket of the endpoint's namespace, not connected yet. Open, it keeps the namespace alive: not for long. */
async function inside(kernel: Kernel, endpoint: Endpoint, address: Ip): Promise<Socket> {
  const fd = await kernel.socket(endpointNetns(endpoint), 'tcp', familyOf(address) === 4 ? '0.0.0.0' : '::', 0);
  return new Socket({ fd, readable: true, writable: true });
}

function connects(socket: Socket, host: Ip, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    socket.once('error', () => resolve(false));
    socket.connect({ host, port }, () => resolve(true));
  });
}

function responds(socket: Socket, host: Ip, port: number, path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const createConnection = () => socket.connect({ host, port });
    const asked = get({ host, port, path, createConnection, headers: { connection: 'close' } }, (response) => {
      response.resume();
      resolve((response.statusCode ?? 500) >= 200 && (response.statusCode ?? 500) < 400);
    });
    asked.once('error', () => resolve(false));
  });
}

/** Only the network is the backend's: files and processes are the host's. */
function succeeds(netns: string, command: string, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const child = spawn('nsenter', [`--net=${netns}`, '--', 'sh', '-c', command], {
      stdio: 'ignore',
      signal,
      killSignal: 'SIGKILL',
    });
    child.once('error', () => resolve(false));
    child.once('exit', (code) => resolve(code === 0));
  });
}
