import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { SecureContextOptions } from 'node:tls';
import { WarrenError } from '../model/error.ts';
import type { Ip } from '../model/ip.ts';
import { bodyLimit, joinPort } from './join-protocol.ts';
import type { Log } from './log.ts';
import type { PkiPaths } from './pki-files.ts';

/** What a route answers a body; throws a WarrenError to refuse. */
export type Route = (body: unknown, from: string) => Promise<unknown>;

/** HTTPS for hosts that are no members yet, on managers. They show no certificate: each route says what it believes. */
export class JoinApi {
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async listen(address: Ip, pki: PkiPaths, routes: Readonly<Record<string, Route>>, log: Log): Promise<JoinApi> {
    const server = createServer(
      {
        ...contextOf(pki),
        headersTimeout: 5000,
        requestTimeout: 10_000,
      },
      (request, response) => void answer(routes, request, response, log),
    );
    server.maxConnections = 64;
    server.listen(joinPort, address);
    await once(server, 'listening');
    return new JoinApi(server);
  }

  /** After a renewal. */
  reload(pki: PkiPaths): void {
    this.#server.setSecureContext(contextOf(pki));
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

/** With the CA's certificate: whoever joins knows its fingerprint only. */
function contextOf({ certificate, caCertificate, key }: PkiPaths): SecureContextOptions {
  const chain = [certificate, caCertificate].map((path) => readFileSync(path, 'utf8'));
  return { cert: chain.join(''), key: readFileSync(key), minVersion: 'TLSv1.3' };
}

async function answer(
  routes: Readonly<Record<string, Route>>,
  request: IncomingMessage,
  response: ServerResponse,
  log: Log,
): Promise<void> {
  const from = request.socket.remoteAddress ?? '?';
  const send = (status: number, body: unknown): void => {
    response.writeHead(status, { 'content-type': 'application/json', connection: 'close' });
    response.end(JSON.stringify(body));
  };
  try {
    const route = request.method === 'POST' ? routes[request.url ?? ''] : undefined;
    if (!route) return send(404, { error: { code: 'invalid_input', message: 'no such method here' } });
    send(200, await route(JSON.parse(await text(request)), from));
  } catch (error) {
    const known = error instanceof WarrenError;
    log.warn('a host was refused', { from, error: (error as Error).message });
    if (error instanceof SyntaxError || (known && error.exit === 2))
      return send(400, { error: { code: 'invalid_input', message: 'malformed request' } });
    if (known) return send(403, { error: error.toJSON() });
    send(500, { error: { code: 'internal', message: 'the manager failed; its log says more' } });
  }
}

async function text(request: IncomingMessage): Promise<string> {
  let body = '';
  for await (const chunk of request.setEncoding('utf8')) {
    body += chunk;
    if (body.length > bodyLimit) throw new WarrenError('invalid_input', 'too long');
  }
  return body;
}
