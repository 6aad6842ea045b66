import { once } from 'node:events';
import { chmodSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { WarrenError } from '../model/error.ts';
import { askedBy } from '../store/asker.ts';
import { type Request, type Response, readDocuments } from './protocol.ts';

export type Method = (params: Record<string, unknown>, signal: AbortSignal) => Promise<unknown>;

/** Serves a table of methods on the agent's socket (0600): who may open it is root already. */
export class ApiServer {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #path: string;

  private constructor(path: string, server: Server) {
    this.#path = path;
    this.#server = server;
  }

  /** REQUIRES: no other agent runs on this host (lock.ts), so that a socket found there is a leftover. */
  static async listen(path: string, methods: Readonly<Record<string, Method>>): Promise<ApiServer> {
    rmSync(path, { force: true });
    const server = createServer((socket) => api.#serve(socket, methods));
    const api = new ApiServer(path, server);
    server.listen(path);
    await once(server, 'listening');
    chmodSync(path, 0o600);
    return api;
  }

  async close(): Promise<void> {
    this.#server.close();
    for (const socket of this.#sockets) socket.end();
    rmSync(this.#path, { force: true });
  }

  #serve(socket: Socket, methods: Readonly<Record<string, Method>>): void {
    const gone = new AbortController();
    const send = (response: Response): void => {
      if (!socket.destroyed) socket.write(`${JSON.stringify(response)}\n`);
    };
    this.#sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => {
      this.#sockets.delete(socket);
      gone.abort();
    });
    readDocuments(
      socket,
      (document) => void answer(document as Partial<Request>, methods, gone.signal).then(send),
      () => send({ jsonrpc: '2.0', id: null, error: { code: -32700, message: 'not a JSON document' } }),
    );
  }
}

async function answer(
  request: Partial<Request>,
  methods: Readonly<Record<string, Method>>,
  signal: AbortSignal,
): Promise<Response> {
  const id = typeof request?.id === 'number' ? request.id : null;
  const method =
    typeof request?.method === 'string' && Object.hasOwn(methods, request.method) ? methods[request.method] : undefined;
  if (!method) return { jsonrpc: '2.0', id, error: { code: -32601, message: `no method ${String(request?.method)}` } };
  try {
    const params = (request.params ?? {}) as Record<string, unknown>;
    return { jsonrpc: '2.0', id, result: (await askedBy(nameOf(request.by), () => method(params, signal))) ?? null };
  } catch (error) {
    const known =
      error instanceof WarrenError
        ? error
        : new WarrenError('internal', error instanceof Error ? error.message : String(error));
    return { jsonrpc: '2.0', id, error: { code: -32000, message: known.message, data: known.toJSON() } };
  }
}

/** Whoever can open the socket is root, and may call himself what he likes, as long as it is a word. */
function nameOf(by: unknown): string {
  return typeof by === 'string' && /^[\w.-]{1,64}$/.test(by) ? by : 'root';
}
