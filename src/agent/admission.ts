import { randomBytes } from 'node:crypto';
import type * as z from 'zod';
import { WarrenError } from '../model/error.ts';
import type { NodeId } from '../model/id.ts';
import { invalid } from '../model/parse.ts';
import type { View } from '../model/view.ts';
import { holderOf, type KeyPair, keyBytes, readRequest, sign } from '../pki/certificate.ts';
import { newTokenId, parseToken, type Role, refused, verifyToken } from '../pki/token.ts';
import type { Store, TokenVerdict } from '../store/store.ts';
import type { Config } from './config.ts';
import type { Route } from './join-api.ts';
import { type Joined, joinRequest, renewRequest } from './join-protocol.ts';
import type { Log } from './log.ts';
import { tokenText } from './pki-files.ts';

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
    return { '/v1/join': (body, from) => this.#join(body, from), '/v1/renew': (body) => this.#renew(body) };
  }

  /** The standing token of a role, or one with an end. */
  async token(
    role: Role,
    wish: { ttlMs?: number | undefined; uses?: number | undefined; rotate?: boolean },
  ): Promise<string> {
    const id = await this.#store.tokenIssue({ id: newTokenId(), role, ...wish });
    return tokenText(this.#ca, role, id);
  }

  async #join(body: unknown, from: string): Promise<Joined> {
    const { token, node, request, addresses } = checked(joinRequest, body);
    const { id, role, ...rest } = parseToken(token);
    verifyToken({ id, role, ...rest }, keyBytes(this.#ca.key));
    if ((await readRequest(request)).node !== node) throw invalid('a request for another node');
    // Only its own key brings a member back: whoever has a worker's token must not become somebody else.
    if (this.#view().nodes.has(node as NodeId)) throw refused('cannot make a node that is a member already');
    const verdict = await this.#store.tokenTake(id, role);
    if (verdict !== 'ok') throw refused(verdicts[verdict]);
    const certificate = await sign(this.#ca, request, { node, role, addresses });
    const store = await this.#storeFor(node as NodeId, role);
    this.#log.info('a host may join', { node, role, from });
    return {
      ...{ cluster: this.#config.cluster, role, dataPort: this.#view().cluster.dataPort },
      ...{ ca: this.#ca.certificate, certificate, store, storeUsers: this.#config.storeUsers },
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

  async #renew(body: unknown): Promise<{ certificate: string }> {
    const { certificate, request, addresses } = checked(renewRequest, body);
    const holder = await holderOf(this.#ca, certificate);
    const { node, publicKey } = await readRequest(request);
    const member = holder && this.#view().nodes.get(holder.node as NodeId);
    if (!member || node !== holder.node || publicKey !== holder.publicKey)
      throw new WarrenError('token_refused', 'that is no member’s certificate', 'join again: warren join');
    return { certificate: await sign(this.#ca, request, { node, role: member.role, addresses }) };
  }
}

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
