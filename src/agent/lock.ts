import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { WarrenError } from '../model/error.ts';

/**
 * One agent per network namespace. An abstract unix socket belongs to the network namespace it was bound in and is
 * gone with its process, however that ends (unix(7)): no stale lock files, and no two writers of one kernel.
 */
export async function takeLock(): Promise<Server> {
  const server = createServer((socket) => socket.destroy());
  server.listen('\0warren-agent');
  try {
    await once(server, 'listening');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    throw new WarrenError(
      'agent_running',
      'another agent runs on this host (in this network namespace)',
      'see: warren status',
    );
  }
  server.unref();
  return server;
}
