import type { Endpoint } from './endpoint.ts';
import type { EndpointId, NetworkId, NodeId } from './id.ts';
import type { Network } from './network.ts';
import type { Cluster, Node } from './node.ts';

/** Where a scope's history stands. Another incarnation or a smaller n means the store lost writes. */
export type Revision = { readonly incarnation: string; readonly n: number };

export type NetworkView = {
  readonly network: Network;
  readonly revision: Revision;
  readonly endpoints: ReadonlyMap<EndpointId, Endpoint>;
  /** Those of them that the store has lost, kept until their node has told it again. */
  readonly ghosts?: ReadonlySet<EndpointId>;
};

/** All wishes one node knows: the whole registry, and the networks it takes part in. */
export type View = {
  readonly cluster: Cluster;
  readonly revision: Revision;
  readonly nodes: ReadonlyMap<NodeId, Node>;
  /** Every network of the registry. */
  readonly networks: ReadonlyMap<NetworkId, Network>;
  /** Only those followed. */
  readonly followed: ReadonlyMap<NetworkId, NetworkView>;
};

/** A network exists in this node's kernel while an endpoint of it lives here. */
export function isHere(followed: NetworkView, self: NodeId): boolean {
  for (const endpoint of followed.endpoints.values()) if (endpoint.node === self) return true;
  return false;
}
