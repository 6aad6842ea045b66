import type { Endpoint } from './endpoint.ts';
import type { EndpointId, NetworkId, NodeId, ServiceId } from './id.ts';
import type { Network } from './network.ts';
import type { Cluster, Node } from './node.ts';
import type { Service } from './service.ts';

/** Where a scope's history stands. Another incarnation or a smaller n means the store lost writes. */
export type Revision = { readonly incarnation: string; readonly n: number };

export type NetworkView = {
  readonly network: Network;
  readonly revision: Revision;
  readonly endpoints: ReadonlyMap<EndpointId, Endpoint>;
  readonly services: ReadonlyMap<ServiceId, Service>;
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
