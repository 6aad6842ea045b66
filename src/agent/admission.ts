import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import * as z from 'zod';
import { espPort } from '../keys/encap.ts';
import { WarrenError } from '../model/error.ts';
import type { NodeId } from '../model/id.ts';
import type { Ip } from '../model/ip.ts';
import { type Role, roles } from '../model/node.ts';
import { invalid } from '../model/parse.ts';
import type { View } from '../model/view.ts';
import type { KeyPair } from '../pki/pem.ts';
import { certifyIdentity } from '../pki/statement.ts';
import { newTokenId, parseToken, refused, tokenOf, verifyToken } from '../pki/token.ts';
import type { Store, TokenVerdict } from '../store/store.ts';
import type { Config } from './config.ts';
import type { Route } from './join-api.ts';
import {
  type Joined,
  joinRequest,
  leaveRequest,
  type Ports,
  portsRequest,
  type Renewed,
  reachRequest,
  renewRequest,
} from './join-protocol.ts';
import type { Log } from './log.ts';
import { sayWord } from './reach.ts';

/** Who becomes and stays a member: a manager's answers to hosts that join or renew their certificates. */
export class Admission {
  readonly #ca: KeyPair;
  readonly #store: Store;
  readonly #config: Config;
  readonly #view: () => View;
  readonly #log: Log;

  constructor(ca: KeyPair, store: Store, config: Config, view: () => View, log: Log) {
    this.#ca = ca;
    this.#store = store;
    this.#config = config;
    this.#view = view;
    this.#log = log;
  }

  get routes(): Readonly<Record<string, Route>> {
    return {
      '/v1/ports': async (body) => this.#ports(body),
      '/v1/reach': (body) => this.#reach(body),
      '/v1/join': (body, from) => this.#join(body, from),
      '/v1/renew': (body) => this.#renew(body),
      '/v1/leave': (body) => this.#leave(body),
    };
  }

  /** The standing token of a role, or one with a bound. */
  async token(input: unknown): Promise<{ token: string; role: Role }> {
    const { role, ttl, ...wish } = checked(tokenWish, input);
    const ttlMs = ttl === undefined ? undefined : ttl * 1000;
    const id = await this.#store.tokenIssue({ id: newTokenId(), role, ttlMs, ...wish });
    return { token: tokenOf(role, id, this.#ca), role };
  }

  #ports(body: unknown): Ports {
    verifyToken(parseToken(checked(portsRequest, body).token), this.#ca);
    const { name, underlayFamily, dataPort } = this.#view().cluster;
    return { cluster: { name, underlayFamily, dataPort }, ports: dataPorts(this.#view()) };
  }

  async #reach(body: unknown): Promise<Record<string, never>> {
    const { token, address, word } = checked(reachRequest, body);
    verifyToken(parseToken(token), this.#ca);
    const { local, advertise } = this.#config;
    await sayWord((local ?? advertise) as Ip, address as Ip, dataPorts(this.#view()), word);
    return {};
  }

  async #join(body: unknown, from: string): Promise<Joined> {
    const { token, node, request, identity, addresses } = checked(joinRequest, body);
    const { id, role, ...rest } = parseToken(token);
    verifyToken({ id, role, ...rest }, this.#ca);
    const { readRequest, sign } = await makers();
    if ((await readRequest(request)).node !== node) throw invalid('a request for another node');
    // Only its own key brings a member back: whoever has a worker's token must not become somebody else.
    if (this.#view().nodes.has(node as NodeId)) throw refused('cannot make a node that is a member already');
    const verdict = await this.#store.tokenTake(id, role);
    if (verdict !== 'ok') throw refused(verdicts[verdict]);
    const certificate = await sign(this.#ca, request, { node, role, addresses });
    const store = await this.#storeFor(node as NodeId, role);
    this.#log.info('a host may join', { node, role, from });
    return {
      ...{ cluster: this.#config.cluster, role, ca: this.#ca.certificate, certificate, store },
      statement: certifyIdentity(this.#ca, node, identity),
      storeUsers: this.#config.storeUsers,
      ...this.#storeCa(),
      ...(role === 'manager' && { caKey: this.#ca.key }),
    };
  }

  async #storeFor(node: NodeId, role: Role): Promise<string> {
    const { store, storeUsers } = this.#config;
    if (!storeUsers) return store;
    const password = randomBytes(24).toString('base64url');
    const user = await this.#store.userGrant(node, role, password);
    return store.replace(/\/\/[^@]*@/, `//${user}:${password}@`);
  }

  #storeCa(): Pick<Joined, 'storeCa'> {
    const { storeTls, storeUsers } = this.#config;
    return storeUsers || !storeTls?.ca ? {} : { storeCa: readFileSync(storeTls.ca, 'utf8') };
  }

  async #renew(body: unknown): Promise<Renewed> {
    const { certificate, request, identity, addresses } = checked(renewRequest, body);
    const { node, role } = await this.#proven(certificate, request);
    if (!this.#view().nodes.has(node)) throw unproven();
    const { sign } = await makers();
    return {
      certificate: await sign(this.#ca, request, { node, role, addresses }),
      statement: certifyIdentity(this.#ca, node, identity),
    };
  }

  /** Who has the key may give up what it is good for, member or not: a join that failed ends so, too. */
  async #leave(body: unknown): Promise<Record<string, never>> {
    const { certificate, request } = checked(leaveRequest, body);
    const { node } = await this.#proven(certificate, request);
    if (this.#config.storeUsers) await this.#store.userRevoke(node);
    this.#log.info('a host has left', { node });
    return {};
  }

  /** Whom the CA has certified, with that role: every worker can write what the store says. */
  async #proven(certificate: string, request: string): Promise<{ node: NodeId; role: Role }> {
    const { readCertificate, readRequest } = await makers();
    const [holder, { node, key }] = [await readCertificate(this.#ca, certificate), await readRequest(request)];
    if (holder?.node !== node || holder.key !== key) throw unproven();
    return { node: node as NodeId, role: holder.role };
  }
}

/** What signs is loaded when somebody comes: most managers sign a few times a year. */
const makers = () => import('../pki/certificate.ts');

/** Of plain networks, and of ESP in UDP; that of encrypted networks takes nothing in clear. */
const dataPorts = ({ cluster }: View): number[] => [cluster.dataPort + 1, espPort];

const unproven = () => new WarrenError('token_refused', 'that is no member’s certificate', 'join again: warren join');

const tokenWish = z.strictObject({
  role: z.enum(roles).default('worker'),
  /** Seconds. */
  ttl: z.number().positive().optional(),
  uses: z.int().positive().optional(),
  rotate: z.boolean().optional(),
});

const verdicts: Record<Exclude<TokenVerdict, 'ok'>, string> = {
  token_unknown: 'counts no more: it was rotated',
  token_expired: 'has expired',
  token_used: 'is used up',
};

function checked<T>(shape: z.ZodType<T>, body: unknown): T {
  const result = shape.safeParse(body);
  if (result.success) return result.data;
  throw invalid('malformed request');
}
