import type { EndpointId, NetworkId, NodeId, ServiceId } from '../model/id.ts';
import type { Cidr } from '../model/ip.ts';
import type { Network, Published } from '../model/network.ts';
import type { Facts, Role } from '../model/node.ts';
import type { Service } from '../model/service.ts';
import type { Revision } from '../model/view.ts';
import * as announcements from './announcements.ts';
import * as audit from './audit.ts';
import { Connection, type Tls } from './connection.ts';
import * as endpoints from './endpoints.ts';
import { clusterErase } from './erase.ts';
import type { Scrutiny } from './finding.ts';
import { announcedMessage, isScope } from './keys.ts';
import * as limits from './limits.ts';
import { memory } from './memory.ts';
import * as networks from './networks.ts';
import * as nodes from './nodes.ts';
import * as repair from './repair.ts';
import * as restore from './restore.ts';
import * as services from './services.ts';
import { Session } from './session.ts';
import * as since from './since.ts';
import type {
  AuditQuery,
  Claim,
  EndpointWish,
  LimitsPatch,
  NetworkPatch,
  NetworkWish,
  NodeWish,
  ServiceWish,
  Serving,
  Store,
  TokenWish,
  Written,
} from './store.ts';
import * as tokens from './tokens.ts';
import { parseStoreUrl } from './url.ts';
import * as users from './users.ts';

/** Something that keeps its text out of logs. */
export type SecretLike = { reveal(): string };
export type StoreOptions = {
  /** How long a freed address rests before it is given out again. */
  cooldownMs?: number;
  /** What this host is called in the audit; its hostname without it. */
  host?: string;
  /** For `rediss:`. */
  tls?: (() => Tls) | undefined;
};

/** Connects at the first call, and for ever again. The URL's forms are in url.ts. */
export function openStore(url: string | SecretLike, cluster: string, options: StoreOptions = {}): Store {
  return new RedisStore(typeof url === 'string' ? url : url.reveal(), cluster, options);
}

/** A table of contents: each verb is in the file of its noun. */
class RedisStore implements Store {
  readonly url: string;
  readonly #session: Session;
  readonly #connection: Connection;
  readonly #cooldownMs: number;
  #lagMs: number | undefined;
  #wake: Set<(message: string) => void> | undefined;
  readonly #again = new Set<(connected: boolean) => void>();

  constructor(url: string, cluster: string, { cooldownMs = 30_000, tls, host }: StoreOptions) {
    this.#connection = new Connection(parseStoreUrl(url), tls);
    this.#session = new Session(this.#connection, cluster, host);
    this.#cooldownMs = cooldownMs;
    this.url = this.#connection.place.url;
  }

  get connected(): boolean {
    return this.#connection.connected;
  }

  get lagMs(): number | undefined {
    return this.#lagMs;
  }

  onConnection(listener: (connected: boolean) => void): void {
    this.#again.add(listener);
    this.#connection.onConnection(listener);
  }

  clusterInit(wish: Parameters<Store['clusterInit']>[0]) {
    return nodes.clusterInit(this.#session, wish);
  }

  cluster() {
    return nodes.cluster(this.#session);
  }

  registryUpgrade() {
    return nodes.registryUpgrade(this.#session);
  }

  clusterLimit(patch: LimitsPatch) {
    return limits.clusterLimit(this.#session, patch);
  }

  clusterErase(also: readonly NetworkId[]) {
    return clusterErase(this.#session, also);
  }

  count() {
    return limits.count(this.#session);
  }

  memory() {
    return memory(this.#session);
  }

  nodeRegister(wish: NodeWish) {
    return nodes.nodeRegister(this.#session, wish);
  }

  nodeRemove(id: NodeId) {
    return nodes.nodeRemove(this.#session, id);
  }

  nodeStart(id: NodeId, facts: Facts, leaseMs: number, boot?: string) {
    return nodes.nodeStart(this.#session, id, facts, leaseMs, boot);
  }

  nodeDrain(id: NodeId, drained: boolean) {
    return nodes.nodeDrain(this.#session, id, drained);
  }

  nodeRefresh(id: NodeId, epoch: number, facts: Facts) {
    return nodes.nodeRefresh(this.#session, id, epoch, facts);
  }

  nodeRenew(id: NodeId, epoch: number, leaseMs: number, quietMs?: number) {
    return nodes.nodeRenew(this.#session, id, epoch, leaseMs, quietMs);
  }

  leases() {
    return nodes.leases(this.#session);
  }

  tokenIssue(wish: TokenWish) {
    return tokens.tokenIssue(this.#session, wish);
  }

  tokenTake(id: string, role: Role) {
    return tokens.tokenTake(this.#session, id, role);
  }

  userGrant(node: NodeId, role: Role, password: string) {
    return users.userGrant(this.#session, node, role, password);
  }

  tlsReload(certificate: string, key: string) {
    return users.tlsReload(this.#session, certificate, key);
  }

  usersRegrant(workers: readonly NodeId[]) {
    return users.usersRegrant(this.#session, workers);
  }

  userRevoke(node: NodeId) {
    return users.userRevoke(this.#session, node);
  }

  announcementsTo(node: NodeId) {
    return announcements.announcementsTo(this.#session, node);
  }

  announcementsBy(node: NodeId, to: readonly NodeId[]) {
    return announcements.announcementsBy(this.#session, node, to);
  }

  announce(node: NodeId, epoch: number, texts: ReadonlyMap<NodeId, string>) {
    return announcements.announce(this.#session, node, epoch, texts);
  }

  networkCreate(wish: NetworkWish, avoid: readonly Cidr[]) {
    return networks.networkCreate(this.#session, wish, avoid);
  }

  networkUpdate(id: NetworkId, patch: NetworkPatch, avoid: readonly Cidr[]) {
    return networks.networkUpdate(this.#session, id, patch, avoid);
  }

  networkRemove(id: NetworkId, force: boolean) {
    return networks.networkRemove(this.#session, id, force);
  }

  networkJoin(id: NetworkId, node: NodeId) {
    return networks.networkJoin(this.#session, id, node);
  }

  networkLeave(id: NetworkId, node: NodeId) {
    return networks.networkLeave(this.#session, id, node);
  }

  networkPublish(id: NetworkId, service: ServiceId, ports: readonly Published[]) {
    return networks.networkPublish(this.#session, id, service, ports);
  }

  usage(id: NetworkId) {
    return networks.usage(this.#session, id);
  }

  endpointAttach(network: Network, wish: EndpointWish) {
    return endpoints.endpointAttach(this.#session, network, wish);
  }

  endpointReady(network: NetworkId, id: EndpointId, epoch: number) {
    return endpoints.endpointReady(this.#session, network, id, epoch);
  }

  endpointDetach(network: NetworkId, id: EndpointId) {
    return endpoints.endpointDetach(this.#session, network, id, this.#cooldownMs);
  }

  endpoints(network: NetworkId) {
    return endpoints.endpoints(this.#session, network);
  }

  endpointCount(network: NetworkId) {
    return endpoints.endpointCount(this.#session, network);
  }

  endpointServe(network: NetworkId, id: EndpointId, serving: Serving) {
    return endpoints.endpointServe(this.#session, network, id, serving);
  }

  serviceCreate(network: Network, wish: ServiceWish) {
    return services.serviceCreate(this.#session, network, wish);
  }

  serviceUpdate(network: Network, service: Service) {
    return services.serviceUpdate(this.#session, network, service);
  }

  serviceRemove(network: NetworkId, id: ServiceId) {
    return services.serviceRemove(this.#session, network, id);
  }

  services(network: NetworkId) {
    return services.services(this.#session, network);
  }

  registryRestore(view: Parameters<Store['registryRestore']>[0], self: NodeId) {
    return restore.registryRestore(this.#session, view, self);
  }

  networkRestore(network: Network, claim: Claim) {
    return restore.networkRestore(this.#session, network, claim);
  }

  audit(query: AuditQuery) {
    return audit.audit(this.#session, query);
  }

  networkCheck(network: Network, scrutiny: Scrutiny) {
    return repair.networkCheck(this.#session, network, scrutiny, this.#cooldownMs);
  }

  membersCheck(mend: boolean) {
    return repair.membersCheck(this.#session, mend);
  }

  registrySince(revision: Revision | undefined) {
    return since.registrySince(this.#session, revision);
  }

  networkSince(id: NetworkId, revision: Revision | undefined) {
    return since.networkSince(this.#session, id, revision);
  }

  onWake(listener: (scope: '' | NetworkId, entry?: string) => void): void {
    this.#listen((message) => {
      const [scope = '', entry] = message.split(' ');
      if (isScope(scope)) listener(scope, entry);
    });
  }

  onWritten(listener: (written: Written) => void): void {
    this.#session.onWritten.add(listener);
  }

  onAnnounced(node: NodeId, listener: () => void): void {
    const mine = announcedMessage(node);
    this.#listen((message) => message === mine && listener());
    this.onConnection((connected) => connected && listener());
  }

  #listen(listener: (message: string) => void): void {
    if (this.#wake) {
      this.#wake.add(listener);
      return;
    }
    const listeners = new Set([listener]);
    this.#wake = listeners;
    this.#connection.subscribe(
      this.#session.channel,
      (message) => {
        for (const each of listeners) each(message);
      },
      // Wake-ups may have been missed, of every kind: the same duty as after a reconnect.
      () => {
        for (const each of this.#again) each(this.connected);
      },
    );
  }

  async ping(): Promise<void> {
    const begin = performance.now();
    await this.#connection.use((client) => client.ping());
    this.#lagMs = performance.now() - begin;
  }

  reconnect() {
    this.#connection.reconnect();
  }

  close(): Promise<void> {
    return this.#connection.close();
  }
}
