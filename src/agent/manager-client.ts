import { request as httpsRequest } from 'node:https';
import { isIPv6 } from 'node:net';
import { connect, type DetailedPeerCertificate } from 'node:tls';
import type * as z from 'zod';
import { type ErrorData, WarrenError } from '../model/error.ts';
import type { NodeId } from '../model/id.ts';
import type { Node } from '../model/node.ts';
import { pemOf } from '../pki/pem.ts';
import { fingerprintOf } from '../pki/token.ts';
import { joinPort } from './join-protocol.ts';
import { refuseWorker } from './store-tls.ts';

/** A manager's join API: `HOST[:PORT]`, IPv6 in brackets when a port follows. */
export type Manager = { host: string; port: number };
const patienceMs = 10_000;

export function parseManager(text: string): Manager {
  const match = isIPv6(text) ? [text, text] : /^\[?([^[\]\s/]+?)\]?(?::(\d{1,5}))?$/.exec(text);
  const port = Number(match?.[2] ?? joinPort);
  if (match?.[1] && port > 0 && port < 65536) return { host: match[1], port };
  throw new WarrenError('invalid_input', `"${text}" is no manager’s address`, 'write HOST or HOST:PORT');
}

/**
 * The CA certificate a manager shows, if it is the one whose fingerprint is in the token: the chain is looked at before
 * anything is said to whoever is there. Besides: this host's own address on the way there.
 */
export function meetManager(manager: Manager, fingerprint: string): Promise<{ ca: string; address: string }> {
  return new Promise((resolve, reject) => {
    // Nobody is trusted yet: all that is done here is to compare what is shown with the fingerprint.
    const socket = connect({ ...manager, rejectUnauthorized: false, timeout: patienceMs }, () => {
      const address = socket.localAddress ?? '';
      const ca = last(socket.getPeerCertificate(true));
      socket.destroy();
      if (ca && fingerprintOf(ca) === fingerprint) resolve({ ca: pemOf('CERTIFICATE', ca), address });
      else
        reject(
          new WarrenError(
            'wrong_ca',
            `the manager at ${manager.host} is not of the token’s cluster: it shows another CA`,
            'is it the right host? Then somebody may be between you and it; on a manager: warren token',
          ),
        );
    });
    socket.on('timeout', () => socket.destroy(new Error('no answer')));
    socket.on('error', (error) => reject(unreachable(manager, error)));
  });
}

export function askManager<T>(
  manager: Manager,
  ca: string,
  path: string,
  body: unknown,
  shape: z.ZodType<T>,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const request = httpsRequest(
      {
        ...{ ...manager, path, method: 'POST', ca, minVersion: 'TLSv1.3', timeout: patienceMs },
        headers: { 'content-type': 'application/json' },
        // Reached by a name or a NAT's address, too: what counts is that the cluster's CA says it is a manager.
        checkServerIdentity: (_host, certificate) => refuseWorker(certificate),
      },
      (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk;
        });
        response.on('end', () => {
          try {
            const answer = JSON.parse(text) as { error?: ErrorData };
            if (answer.error) reject(WarrenError.from(answer.error));
            else resolve(shape.parse(answer));
          } catch (error) {
            reject(unreachable(manager, error as Error));
          }
        });
      },
    );
    request.on('timeout', () => request.destroy(new Error('no answer')));
    request.on('error', (error) => reject(unreachable(manager, error)));
    request.end(JSON.stringify(body));
  });
}

export function managersBut(self: NodeId, nodes: Iterable<Node>): Manager[] {
  const others = [...nodes].filter(({ id, role }) => role === 'manager' && id !== self);
  return others.map(({ underlay: host }) => ({ host, port: joinPort }));
}

/** The answer of the first of them that gives one; else why the last did not. */
export async function askOneOf<T>(
  managers: readonly Manager[],
  ca: string,
  path: string,
  body: unknown,
  shape: z.ZodType<T>,
): Promise<T> {
  let failed = new Error('no manager is known');
  for (const manager of managers) {
    try {
      return await askManager(manager, ca, path, body, shape);
    } catch (error) {
      failed = error as Error;
    }
  }
  throw failed;
}

function last(certificate: DetailedPeerCertificate): Buffer | undefined {
  let found = certificate;
  while (found.issuerCertificate && found.issuerCertificate !== found) found = found.issuerCertificate;
  return found.raw;
}

function unreachable({ host, port }: Manager, error: Error): WarrenError {
  return new WarrenError(
    'manager_unreachable',
    `no answer from a manager at ${host}:${port}: ${error.message}`,
    'is it the address of a manager, is its agent running, and may TCP 7650 pass?',
  );
}
