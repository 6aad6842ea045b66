import { readFileSync } from 'node:fs';
import type { Node } from '../model/node.ts';
import { age } from '../pki/pem.ts';
import type { Config } from './config.ts';
import { joinPort, renewed } from './join-protocol.ts';
import type { Log } from './log.ts';
import { askManager } from './manager-client.ts';
import { type PkiPaths, readCa } from './pki-files.ts';
import { writePrivate } from './private-file.ts';

const lookMs = 3_600_000;
const due = 2 / 3;

/**
 * Keeps this host's certificate young. Managers sign their own; others ask one, and prove themselves by the key of the last
 * certificate, though it may have expired while the host was off.
 */
export class Renewal {
  readonly #timer: NodeJS.Timeout;
  readonly #pki: PkiPaths;
  readonly #config: Config;
  readonly #nodes: () => Iterable<Node>;
  readonly #renewed: () => void;
  readonly #log: Log;

  constructor(pki: PkiPaths, config: Config, nodes: () => Iterable<Node>, renewed: () => void, log: Log) {
    this.#pki = pki;
    this.#config = config;
    this.#nodes = nodes;
    this.#renewed = renewed;
    this.#log = log;
    this.#timer = setInterval(() => void this.look(), lookMs);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  get expired(): boolean {
    return age(readFileSync(this.#pki.certificate, 'utf8'), new Date()) >= 1;
  }

  /** Renews when two thirds of its life are over; a failure is told and tried again. */
  async look(now = new Date()): Promise<void> {
    try {
      const certificate = readFileSync(this.#pki.certificate, 'utf8');
      if (age(certificate, now) < due) return;
      const { newRequest } = await import('../pki/certificate.ts');
      const { request } = await newRequest(this.#config.node.id, readFileSync(this.#pki.key, 'utf8'));
      writePrivate(this.#pki.certificate, await this.#sign(certificate, request));
      this.#log.info('this host’s certificate is renewed');
      this.#renewed();
    } catch (error) {
      this.#log.warn('this host’s certificate cannot be renewed', { error: (error as Error).message });
    }
  }

  async #sign(certificate: string, request: string): Promise<string> {
    const { node, role, advertise, local } = this.#config;
    const addresses = [...new Set([advertise, local ?? advertise])];
    const ca = readCa(this.#pki);
    if (ca) return (await import('../pki/certificate.ts')).sign(ca, request, { node: node.id, role, addresses });
    const managers = [...this.#nodes()].filter((each) => each.role === 'manager' && each.id !== node.id);
    const known = readFileSync(this.#pki.caCertificate, 'utf8');
    let failed = new Error('no manager is known');
    for (const { underlay } of managers) {
      try {
        const wish = { certificate, request, addresses };
        return (await askManager({ host: underlay, port: joinPort }, known, '/v1/renew', wish, renewed)).certificate;
      } catch (error) {
        failed = error as Error;
      }
    }
    throw failed;
  }
}
