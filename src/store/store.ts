import type { Backend, Endpoint } from '../model/endpoint.ts';
import type { ClusterId, EndpointId, NetworkId, NodeId, ServiceId } from '../model/id.ts';
import type { Cidr, Ip } from '../model/ip.ts';
import type { Network, Published } from '../model/network.ts';
import type { Cluster, Facts, Limited, Limits, Node, Role } from '../model/node.ts';
import type { Service } from '../model/service.ts';
import type { Revision, View } from '../model/view.ts';
import type { NetworkCheck, Scrutiny } from './finding.ts';

/** A network as wished; the store adds the vni and, where none is named, the prefixes. */
export type NetworkWish = {
  id: NetworkId;
  name: string;
  /** Empty: one IPv4 and one IPv6 prefix from the cluster's pools. */
  subnets: readonly Cidr[];
  ipRanges: readonly Cidr[];
  reserved: readonly Ip[];
  mtu: number | 'auto';
  encrypted: boolean;
  internal: boolean;
  labels: Readonly<Record<string, string>>;
  /** May its subnets overlap other networks' (never a member's routes)? */
  allowOverlap: boolean;
  createdAt: string;
};
export type NetworkPatch = { labels?: Readonly<Record<string, string>>; subnets?: readonly Cidr[] };

/** An endpoint as wished; the store adds addresses of the families not given. */
export type EndpointWish = Omit<Endpoint, 'addresses' | 'state' | 'ifname'> & {
  addresses: readonly Ip[];
  ifname: string;
  /** The caller's node epoch: an older agent is refused (stale_epoch). */
  epoch: number;
};

/** A service as wished; the store adds virtual IPs of the families not given. */
export type ServiceWish = Service;

/** What becomes of an endpoint as a backend. */
export type Serving = {
  /** The service it must be a backend of; absent: of none, or of the one it becomes a backend of. */
  expect?: ServiceId;
  backend: Backend | null;
  state?: 'ready' | 'draining';
  /** Of the endpoint's node, where that says so itself: an older agent is refused (stale_epoch). */
  epoch?: number;
};

export type NodeWish = Omit<Node, 'index' | 'epoch'>;
export type Lease = {
  node: NodeId;
  epoch: number /** ISO 8601, by the store's clock */;
  lastSeen: string;
  alive: boolean;
};
export type Usage = { subnet: Cidr; total: number; used: number; reserved: number; cooling: number };

/** One entry of a scope's change stream. `value` undefined: the thing is gone. */
export type Change =
  | { kind: 'network'; id: NetworkId; value: Network | undefined }
  | { kind: 'node'; id: NodeId; value: Node | undefined }
  | { kind: 'endpoint'; id: EndpointId; value: Endpoint | undefined }
  | { kind: 'service'; id: ServiceId; value: Service | undefined }
  | { kind: 'limits'; id: ClusterId; value: Limits }
  | { kind: 'layout'; id: ClusterId; value: number }
  /** A node has told what it holds in this network since the store lost writes. */
  | { kind: 'asserted'; id: NodeId };

/** Answer of the store to "what happened since": whole, or the changes in order. */
export type Delta<Snapshot> =
  /** `diverged`: this history does not contain the revision asked from: the store lost writes, or is another one. */
  | { kind: 'snapshot'; revision: Revision; snapshot: Snapshot; diverged?: true }
  | { kind: 'changes'; revision: Revision; changes: readonly Change[] };
/**
 * What a script of ours has changed in a network: whoever has the entry before it (`N-MARK`; '' where there is none) is at its
 * revision with this.
 */
export type Written = {
  network: NetworkId;
  before: string;
  delta: Extract<Delta<NetworkSnapshot>, { kind: 'changes' }>;
};
export type RegistrySnapshot = { cluster: Cluster; nodes: readonly Node[]; networks: readonly Network[] };
export type NetworkSnapshot = {
  endpoints: readonly Endpoint[];
  services: readonly Service[];
  /** Nodes that have told what they hold since the slot lost writes; nobody where it never did. */
  asserted: readonly NodeId[];
};

/** What a node remembers of a network whose slot may have lost writes. */
export type Claim = {
  node: NodeId;
  epoch: number;
  /** Up to where the node had followed it; undefined: it did not. */
  revision: Revision | undefined;
  /** Its own endpoints, all of them: what it does not name it has detached. */
  mine: readonly Endpoint[];
  /** Other nodes' endpoints it knew: their addresses are not given out until those nodes have spoken, or a day has passed. */
  others: readonly Endpoint[];
  /** It is not the node that tells, but a backup of what it held then. */
  saved?: true;
  services: readonly Service[];
};

/** What was lost because somebody else has it in the store meanwhile. */
export type Conflict = {
  kind: 'node' | 'network' | 'endpoint';
  id: string;
  /** What they claim both: name_taken, mac_taken, address_taken, subnet_overlap, … */
  code: string;
  /** The id of the one in the store. */
  holder: string;
};

export type TokenWish = {
  /** Used unless there is a standing one already. */
  id: string;
  role: Role;
  /** Milliseconds until it ends; undefined: never. */
  ttlMs?: number | undefined;
  /** How many hosts may join by it; undefined: any number. */
  uses?: number | undefined;
  /** The former standing token of that role counts no more. */
  rotate?: boolean | undefined;
};
export type TokenVerdict = 'ok' | 'token_unknown' | 'token_expired' | 'token_used';

/** One change that somebody, or an agent, has made: an entry of a change stream. */
export type AuditEntry = {
  /** ISO 8601, by the store's clock. */
  at: string;
  /** Who, at which host: `PERSON@HOST`; `agent@HOST` where nobody asked for it. */
  by: string;
  /** VERB-NOUN, of the script that did it. */
  action: string;
  kind: string;
  id: string;
  /** As it was called then; null where the stream does not reach back so far. */
  name: string | null;
  network: NetworkId | null;
};
/** The latest `limit` of those from `since` (ISO 8601) on, in these networks and, without any named, in the registry. */
export type AuditQuery = {
  limit: number;
  since?: string | undefined;
  networks: readonly NetworkId[];
  registry: boolean;
};

export type Memory = { used: number; most: number; evicts: boolean };
export type LimitsPatch = { [What in Limited]?: number | null };

/**
 * Shared state. Every mutation is one script (scripts/*.lua), harmless when run twice; every failure is a WarrenError:
 * store_unreachable, store_auth, store_readonly, store_schema, or what the script found (name_taken, subnet_overlap, …).
 */
export interface Store {
  /** For people: scheme, host and port, never the password. */
  readonly url: string;
  readonly connected: boolean;
  /** Round trip of the last ping in milliseconds. */
  readonly lagMs: number | undefined;
  onConnection(listener: (connected: boolean) => void): void;

  // cluster and nodes (registry slot)
  /** Makes the cluster, or finds it; two at once both succeed with the same answer. */
  clusterInit(wish: {
    name: string;
    ula: Cidr;
    dataPort: number;
    underlayFamily: 4 | 6;
  }): Promise<{ cluster: Cluster; created: boolean }>;
  cluster(): Promise<Cluster | undefined>;
  /** Brings the registry to our layout; the answer is whose agents do not know it yet, and then nothing has changed. */
  registryUpgrade(): Promise<readonly NodeId[]>;
  /** null: any number; what is not named stays. The answer is all of them. */
  clusterLimit(patch: LimitsPatch): Promise<Limits>;
  /** All of it but its join tokens; of these networks also that they were removed. */
  clusterErase(also: readonly NetworkId[]): Promise<void>;
  /** How many there are in the cluster; nothing stands still meanwhile. */
  count(): Promise<Record<Limited, number>>;
  /** Bytes in use, at most (0: no bound), and does it throw things away when that is reached? */
  memory(): Promise<Memory>;
  /** Registers, also one that was removed, or refreshes; name_taken when another node has the name. Keeps index and epoch of one that is known. */
  nodeRegister(wish: NodeWish): Promise<Node>;
  /** Its lease, and whether it has endpoints, is not looked at. */
  nodeRemove(id: NodeId): Promise<boolean>;
  /** A new agent takes over: epoch + 1, lease taken, facts of the host refreshed. identity_in_use while another `boot` has the lease. */
  nodeStart(id: NodeId, facts: Facts, leaseMs: number, boot?: string): Promise<Node>;
  /** It takes no new work, or takes it again. */
  nodeDrain(id: NodeId, drained: boolean): Promise<Node>;
  /** The host has changed; stale_epoch when a newer agent took over, node_not_found when the node was removed. */
  nodeRefresh(id: NodeId, epoch: number, facts: Facts): Promise<Node>;
  /**
   * Extends the lease; stale_epoch when a newer agent took over. Tells the age, in milliseconds, of other nodes' leases that have
   * not been renewed for `quietMs`; Infinity: it has none.
   */
  nodeRenew(id: NodeId, epoch: number, leaseMs: number, quietMs?: number): Promise<ReadonlyMap<NodeId, number>>;
  leases(): Promise<readonly Lease[]>;

  // who may join, and what of the store a node may use
  /** The id of a join token that counts from now on. */
  tokenIssue(wish: TokenWish): Promise<string>;
  /** Counts one use. */
  tokenTake(id: string, role: Role): Promise<TokenVerdict>;
  /** The node's user of the store, with just what its role needs; the answer is its name. Again: another password. */
  userGrant(node: NodeId, role: Role, password: string): Promise<string>;
  /** Its connections end at once. */
  userRevoke(node: NodeId): Promise<void>;
  /** Users that an older version gave to workers may do what ours may. */
  usersRegrant(workers: readonly NodeId[]): Promise<void>;
  /** A store of our own, with a new certificate in these files. */
  tlsReload(certificate: string, key: string): Promise<void>;

  // announcements (registry slot): no part of any revision, as they prove themselves and pairs say them again
  /** What others have announced to the node, by sender. */
  announcementsTo(node: NodeId): Promise<ReadonlyMap<NodeId, string>>;
  /** What the node has announced, by receiver, where there is one. */
  announcementsBy(node: NodeId, to: readonly NodeId[]): Promise<ReadonlyMap<NodeId, string>>;
  /** By receiver; those that are no members are left out. stale_epoch when a newer agent of the node took over. */
  announce(node: NodeId, epoch: number, texts: ReadonlyMap<NodeId, string>): Promise<void>;
  /** Wake-ups: something else was announced to the node, or may have been while the connection was lost. Only a hint. */
  onAnnounced(node: NodeId, listener: () => void): void;

  // networks (registry slot, then the network's)
  /** `avoid`: members' routes and underlays. */
  networkCreate(wish: NetworkWish, avoid: readonly Cidr[]): Promise<Network>;
  networkUpdate(id: NetworkId, patch: NetworkPatch, avoid: readonly Cidr[]): Promise<Network>;
  /** Two-phase: close in the network's slot (network_in_use with endpoints, unless force), then the registry, then purge. */
  networkRemove(id: NetworkId, force: boolean): Promise<boolean>;
  /** This node has, or is about to have, endpoints there (join), or no longer has any (leave). */
  networkJoin(id: NetworkId, node: NodeId): Promise<Network>;
  networkLeave(id: NetworkId, node: NodeId): Promise<void>;
  /** A service's published ports become these; published_port_taken when another service has one. */
  networkPublish(id: NetworkId, service: ServiceId, ports: readonly Published[]): Promise<Network>;
  usage(id: NetworkId): Promise<readonly Usage[]>;

  // endpoints (network slot)
  /** Takes addresses and writes the endpoint as 'starting'. Same id again: the same answer. */
  endpointAttach(network: Network, wish: EndpointWish): Promise<Endpoint>;
  endpointReady(network: NetworkId, id: EndpointId, epoch: number): Promise<Endpoint>;
  /** Gone already: undefined. Its addresses cool down before they are given out again. */
  endpointDetach(network: NetworkId, id: EndpointId): Promise<Endpoint | undefined>;
  endpoints(network: NetworkId): Promise<readonly Endpoint[]>;
  /** undefined: it is a backend of another service than expected, or of none, or it is gone. */
  endpointServe(network: NetworkId, id: EndpointId, serving: Serving): Promise<Endpoint | undefined>;
  endpointCount(network: NetworkId): Promise<number>;

  // services (network slot)
  /** Takes virtual IPs and writes the service. Same id again: the same answer. */
  serviceCreate(network: Network, wish: ServiceWish): Promise<Service>;
  /** All but its virtual IPs becomes as given. */
  serviceUpdate(network: Network, service: Service): Promise<Service>;
  serviceRemove(network: NetworkId, id: ServiceId): Promise<boolean>;
  services(network: NetworkId): Promise<readonly Service[]>;

  // after lost writes
  /**
   * Offers what this node remembers of the registry: an empty store becomes the same cluster again, one that fell back gets
   * what it misses. store_lost_writes when the store holds another cluster by now.
   */
  registryRestore(
    view: Pick<View, 'cluster' | 'revision' | 'nodes' | 'networks'>,
    self: NodeId,
  ): Promise<{ made: boolean; added: readonly NetworkId[]; conflicts: readonly Conflict[] }>;
  /** Opens the network's slot again where it is gone, and makes the node's endpoints there what the claim says. */
  networkRestore(network: Network, claim: Claim): Promise<readonly Conflict[]>;

  // damage
  /** Compares what the network's slot says in several places, and mends it with `repair`. */
  networkCheck(network: Network, scrutiny: Scrutiny): Promise<NetworkCheck>;
  /** Members of networks that are no nodes; with `repair` they are none any more. */
  membersCheck(repair: boolean): Promise<ReadonlyMap<NetworkId, readonly NodeId[]>>;

  // change streams
  /** Oldest first. */
  audit(query: AuditQuery): Promise<readonly AuditEntry[]>;
  registrySince(revision: Revision | undefined): Promise<Delta<RegistrySnapshot>>;
  networkSince(id: NetworkId, revision: Revision | undefined): Promise<Delta<NetworkSnapshot> | undefined>;
  /** Wake-ups (pub/sub): '' for the registry, else a network's id, with the entry (`N-MARK`) where known. Only a hint; poll too. */
  onWake(listener: (scope: '' | NetworkId, entry?: string) => void): void;
  /** Called before the one who asked for the change hears of it. */
  onWritten(listener: (written: Written) => void): void;
  ping(): Promise<void>;
  /** This host has another address: what is open would hear nothing. */
  reconnect(): void;
  close(): Promise<void>;
}
