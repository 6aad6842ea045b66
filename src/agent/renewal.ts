import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { IdentityKey } from '../keys/identity.ts';
import { parseIp } from '../model/ip.ts';
import type { Node } from '../model/node.ts';
import { age } from '../pki/pem.ts';
import { certifyIdentity } from '../pki/statement.ts';
import { Authority, ownStatement } from './authority.ts';
import type { Config } from './config.ts';
import { openIdentity } from './identity.ts';
import { type Renewed, renewed } from './join-protocol.ts';
import type { Log } from './log.ts';
import { askOneOf, managersBut } from './manager-client.ts';
import { type PkiPaths, pkiPaths, readCa } from './pki-files.ts';
import type { Place } from './place.ts';
import { writePrivate } from './private-file.ts';

const lookMs = 3_600_000;
const due = 2 / 3;

/**
 * Keeps this host's certificate young, and the CA's word for its identity the right one. Managers sign their own; others ask one, and prove themselves by the key of the last
 * certificate, though it may have expired while the host was off.
 */
export class Renewal {
  readonly #timer: NodeJS.Timeout;
  readonly #stateDir: string;
  readonly #pki: PkiPaths;
  readonly #config: Config;
  readonly #nodes: () => Iterable<Node>;
  readonly #renewed: () => void;
  readonly #log: Log;
  #place: Place | undefined;

  constructor(stateDir: string, config: Config, nodes: () => Iterable<Node>, renewed: () => void, log: Log) {
    this.#stateDir = stateDir;
    this.#pki = pkiPaths(stateDir);
    this.#config = config;
    this.#nodes = nodes;
    this.#renewed = renewed;
    this.#log = log;
    this.#timer = setInterval(() => this.#place && void this.look(this.#place), lookMs);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  get expired(): boolean {
    return age(readFileSync(this.#pki.certificate, 'utf8'), new Date()) >= 1;
  }

  /** Renews when two thirds of its life are over, or it is of another address; a failure is told and tried again. */
  async look(place: Place, now = new Date()): Promise<void> {
    this.#place = place;
    try {
      const certificate = readFileSync(this.#pki.certificate, 'utf8');
      const identity = openIdentity(this.#stateDir, true).key;
      if (isOf(certificate, place) && age(certificate, now) < due && this.#isCertified(identity)) return;
      const { newRequest } = await import('../pki/certificate.ts');
      const { request } = await newRequest(this.#config.node.id, readFileSync(this.#pki.key, 'utf8'));
      const signed = await this.#sign(certificate, request, identity, place);
      writePrivate(this.#pki.certificate, signed.certificate);
      writePrivate(this.#pki.statement, signed.statement);
      this.#log.info('this host’s certificate is renewed');
      this.#renewed();
    } catch (error) {
      this.#log.warn('this host’s certificate cannot be renewed', { error: (error as Error).message });
    }
  }

  #isCertified(identity: IdentityKey): boolean {
    const authority = Authority.of(this.#pki, false);
    return ownStatement(this.#pki, authority, this.#config.node.id, identity) !== undefined;
  }

  async #sign(
    certificate: string,
    request: string,
    identity: IdentityKey,
    { underlay, local }: Place,
  ): Promise<Renewed> {
    const { node, role } = this.#config;
    const addresses = [...new Set([underlay, local])];
    const ca = readCa(this.#pki);
    if (ca) {
      const { sign } = await import('../pki/certificate.ts');
      const statement = certifyIdentity(ca, node.id, identity);
      return { certificate: await sign(ca, request, { node: node.id, role, addresses }), statement };
    }
    const known = readFileSync(this.#pki.caCertificate, 'utf8');
    const wish = { certificate, request, identity, addresses };
    return askOneOf(managersBut(node.id, this.#nodes()), known, '/v1/renew', wish, renewed);
  }
}

function isOf(certificate: string, { underlay, local }: Place): boolean {
  const { subjectAltName = '' } = new X509Certificate(certificate);
  const known = subjectAltName.split(', ').flatMap((name) => parseIp(name.replace(/^IP Address:/, '')) ?? []);
  return [underlay, local].every((ip) => known.includes(ip));
}
