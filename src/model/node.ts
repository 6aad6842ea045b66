import type { ClusterId, NodeId } from './id.ts';
import type { Cidr, Family, Ip } from './ip.ts';

export type Cluster = {
  readonly id: ClusterId;
  readonly name: string;
  /** Changes when the store was emptied and re-made: same keys, other history. */
  readonly incarnation: string;
  /** Unique local prefix /48 (RFC 4193); IPv6 subnets and VIP pools are cut from it. */
  readonly ula: Cidr;
  /** VXLAN UDP port of encrypted networks; plain ones use the next. */
  readonly dataPort: number;
  readonly underlayFamily: Family;
  /** Of the store's registry (store/keys.ts); absent: 1. */
  readonly layout?: number;
  /** Of what there may be so many in the cluster; of others, any number. */
  readonly limits?: Limits;
};

export const limited = ['networks', 'endpoints', 'services'] as const;
export type Limited = (typeof limited)[number];
export type Limits = { readonly [What in Limited]?: number };

/** Managers let others in. */
export const roles = ['manager', 'worker'] as const;
export type Role = (typeof roles)[number];

/** Some of the nodes; a set, or what is asked one by one. */
export type Nodes = Pick<ReadonlySet<NodeId>, 'has'>;

export type NodeStatus = 'up' | 'stale' | 'down' | 'drained';

export type Node = {
  readonly id: NodeId;
  /** 1…16383, never shared by two members: SPIs, MACs and return hops are made from it. */
  readonly index: number;
  readonly name: string;
  readonly role: Role;
  /** Address of the VXLAN tunnel end point (VTEP), as the others reach it. */
  readonly underlay: Ip;
  /** The host's own address where that is another: it is behind a NAT. */
  readonly local?: Ip | undefined;
  readonly underlayMtu: number;
  /** Prefixes this host already reaches otherwise; no network may overlap them. */
  readonly routes: readonly Cidr[];
  /** Public half of its Ed25519 identity, 32 bytes in base64url; absent: this node cannot encrypt. */
  readonly identity?: string;
  /** The CA's word that it is this node's (pki/statement.ts); absent where there is no CA, or it has not said so. */
  readonly statement?: string | undefined;
  /** What its kernel can encrypt with, for the others to see; what decides is in its signed announcements. */
  readonly encryption?: { readonly ciphers: readonly string[]; readonly fastAes: boolean };
  /** It exchanges ESP in UDP with some other node, or is about to: its packets have less room. */
  readonly encap?: 'udp' | undefined;
  /** Raised by every agent start; scripts refuse an older one. */
  readonly epoch: number;
  readonly version: string;
  /** The newest layout of the registry that its agent knows; absent: 1. */
  readonly layout?: number | undefined;
  readonly joinedAt: string;
  /** It takes no new work: no endpoints, and its backends no connections. */
  readonly drained?: true | undefined;
};

/** Nodes whose backends get no new connections: those found dead, and those that a person drained. */
export const resting = (nodes: ReadonlyMap<NodeId, Node>, down: Nodes): Nodes => ({
  has: (id) => down.has(id) || nodes.get(id)?.drained === true,
});

/** What a host tells the others about itself, anew at every start of its agent and whenever it changes. */
export type Facts = Pick<
  Node,
  | 'underlay'
  | 'local'
  | 'underlayMtu'
  | 'routes'
  | 'version'
  | 'layout'
  | 'identity'
  | 'statement'
  | 'encryption'
  | 'encap'
>;

/** What this host's packets to others come from, and theirs arrive at. */
export const localOf = ({ local, underlay }: Pick<Node, 'local' | 'underlay'>): Ip => local ?? underlay;
