import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { type ErrorData, WarrenError } from '../model/error.ts';

/**
 * The agent's socket: JSON-RPC 2.0, one document a line, both ways (docs/protocol.md).
 *   → {"jsonrpc":"2.0","id":1,"method":"endpoint.attach","params":{…}}
 *   ← {"jsonrpc":"2.0","id":1,"result":{…}}
 *   ← {"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"…","data":{"code":"name_taken","message":"…","hint":"…"}}}
 * Hanging up cancels what was asked on that connection.
 */
export const protocolVersion = 1;

/** `by`: the person who asks, for the audit. */
export type Request = { jsonrpc: '2.0'; id: number; method: string; params?: unknown; by?: string };
export type Response =
  | { jsonrpc: '2.0'; id: number | null; result: unknown }
  | { jsonrpc: '2.0'; id: number | null; error: { code: number; message: string; data?: ErrorData } };

/** Calls `take` with every line that is a JSON document, `broken` with one that is not. */
export function readDocuments(socket: Socket, take: (document: unknown) => void, broken: () => void): void {
  const lines = createInterface({ input: socket, crlfDelay: Number.POSITIVE_INFINITY });
  // It hands on the socket's errors (a peer that was killed before it had read everything); `close` follows, and says it.
  lines.on('error', () => {});
  lines.on('line', (line) => {
    if (line.trim() === '') return;
    let document: unknown;
    try {
      document = JSON.parse(line);
    } catch {
      return broken();
    }
    take(document);
  });
}

/** One connection to the agent. */
export class AgentClient {
  readonly #socket: Socket;
  readonly #waiting = new Map<number, { resolve: (result: unknown) => void; reject: (error: Error) => void }>();
  #next = 1;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('error', () => {});
    socket.on('close', () => this.#hangUp());
    readDocuments(
      socket,
      (document) => this.#answer(document as Response),
      () => socket.destroy(),
    );
  }

  /** Waits for the agent up to `patience` milliseconds, as one that restarts is back within that time. */
  static async connect(path: string, patience = 5000): Promise<AgentClient> {
    const deadline = Date.now() + patience;
    for (;;) {
      const socket = connect(path);
      const failure = await new Promise<NodeJS.ErrnoException | undefined>((resolve) => {
        socket.once('connect', () => resolve(undefined));
        socket.once('error', resolve);
      });
      if (!failure) return new AgentClient(socket);
      if (failure.code === 'EACCES')
        throw new WarrenError('not_root', `no permission for the agent's socket ${path}`, 'run it as root');
      if (Date.now() >= deadline) {
        throw new WarrenError('agent_unreachable', `no agent answers at ${path}`, 'start it with: warren agent');
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  call(method: string, params: unknown = {}): Promise<unknown> {
    const id = this.#next++;
    const request: Request = {
      jsonrpc: '2.0',
      id,
      method,
      params,
      by: process.env.SUDO_USER ?? process.env.USER ?? 'root',
    };
    return new Promise((resolve, reject) => {
      if (this.#socket.destroyed) return reject(lost());
      this.#waiting.set(id, { resolve, reject });
      this.#socket.write(`${JSON.stringify(request)}\n`);
    });
  }

  close(): void {
    this.#socket.end();
  }

  #answer(response: Response): void {
    const waiting = this.#waiting.get(response.id ?? 0);
    if (!waiting) return;
    this.#waiting.delete(response.id ?? 0);
    if ('error' in response) {
      const { data, message } = response.error;
      waiting.reject(data ? WarrenError.from(data) : new WarrenError('internal', message));
    } else waiting.resolve(response.result);
  }

  #hangUp(): void {
    for (const { reject } of this.#waiting.values()) reject(lost());
    this.#waiting.clear();
  }
}

function lost(): WarrenError {
  return new WarrenError('agent_unreachable', 'the agent hung up before it answered', 'see its log, then try again');
}
