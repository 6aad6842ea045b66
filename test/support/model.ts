/**
 * What the random test believes should exist: plain lists, changed only by what a command answered. Where the answer was
 * lost with the agent or the store, the lists say so, and what is found decides: there in whole, or not at all.
 */
export type Network = {
  id: string;
  name: string;
  vni: number;
  subnets: readonly string[];
  vipPools: readonly string[];
  gateway: readonly string[];
  mtu: number;
  encrypted: boolean;
  internal: boolean;
  /** Its removal was not answered. */
  doubtful?: boolean;
};
export type Endpoint = {
  id: string;
  name: string;
  /** The network's name, the node's, and the namespace's, which is one of `containers`. */
  network: string;
  node: string;
  netns: string;
  ifname: string;
  addresses: readonly string[];
  mac: string;
  /** Its namespace had no default route, and the network has a way out. */
  defaultRoute: boolean;
  /** When it got an address that had been another's. */
  heir?: number | undefined;
  doubtful?: boolean;
};
export type Container = { node: string; netns: string };
/** As `network ls` and `endpoint ls` list them, as far as this test cares. */
export type NetworkRow = Network & { endpoints: number };
export type EndpointRow = Omit<Endpoint, 'defaultRoute' | 'heir' | 'doubtful'> & {
  mtu: number;
  vtep: string;
  state: string;
};

export class Model {
  networks: Network[] = [];
  endpoints: Endpoint[] = [];
  containers: Container[] = [];
  /** Creations and attaches that were not answered. */
  maybeNetworks: string[] = [];
  maybeEndpoints: { network: string; node: string; netns: string }[] = [];
  /** The last owner's MAC of every address there ever was. */
  owners = new Map<string, string>();

  network(name: string): Network | undefined {
    return this.networks.find((network) => network.name === name);
  }

  of(network: Network): Endpoint[] {
    return this.endpoints.filter((endpoint) => endpoint.network === network.name);
  }

  in(container: Container): Endpoint[] {
    return this.endpoints.filter(({ node, netns }) => node === container.node && netns === container.netns);
  }

  /** The networks a host holds in its kernel: those of its endpoints. */
  on(node: string): Network[] {
    return this.networks.filter((network) => this.of(network).some((endpoint) => endpoint.node === node));
  }

  /** Other hosts that hold one of these networks. */
  peers(node: string, networks: readonly Network[]): string[] {
    const nodes = networks.flatMap((network) => this.of(network).map((endpoint) => endpoint.node));
    return [...new Set(nodes)].filter((other) => other !== node).sort();
  }

  created({ id, name, vni, subnets, vipPools, gateway, mtu, encrypted, internal }: NetworkRow): void {
    this.networks.push({ id, name, vni, subnets, vipPools, gateway, mtu, encrypted, internal });
  }

  removed(network: Network): void {
    this.networks = this.networks.filter((other) => other !== network);
    this.endpoints = this.endpoints.filter((endpoint) => endpoint.network !== network.name);
  }

  attached({ id, name, network, node, netns, ifname, addresses, mac }: EndpointRow): void {
    const container = { node, netns: netns.replace('/run/netns/', '') };
    const taken = this.in(container).some(({ defaultRoute }) => defaultRoute);
    const defaultRoute = !taken && this.network(network)?.internal === false;
    const keys = addresses.map((address) => `${this.network(network)?.id} ${address}`);
    const heir = keys.some((key) => (this.owners.get(key) ?? mac) !== mac) ? Date.now() : undefined;
    for (const key of keys) this.owners.set(key, mac);
    this.endpoints.push({ id, name, network, ...container, ifname, addresses, mac, defaultRoute, heir });
  }

  detached(endpoint: Endpoint): void {
    this.endpoints = this.endpoints.filter((other) => other !== endpoint);
  }

  deleted(container: Container): void {
    const inside = this.in(container);
    this.endpoints = this.endpoints.filter((endpoint) => !inside.includes(endpoint));
    this.containers = this.containers.filter((other) => other !== container);
  }

  /** A copy without doubts: what is listed now says how each ended. */
  decided(networks: readonly NetworkRow[], endpoints: readonly EndpointRow[]): Model {
    const decided = new Model();
    decided.containers = [...this.containers];
    decided.owners = new Map(this.owners);
    const listed = new Set([...networks, ...endpoints].map(({ id }) => id));
    decided.networks = this.networks
      .filter(({ id, doubtful }) => !doubtful || listed.has(id))
      .map(({ doubtful: _, ...network }) => network);
    for (const name of this.maybeNetworks) {
      const found = networks.find((network) => network.name === name);
      if (found && !decided.network(name)) decided.created(found);
    }
    decided.endpoints = this.endpoints
      .filter(({ id, network, doubtful }) => decided.network(network) && (!doubtful || listed.has(id)))
      .map(({ doubtful: _, ...endpoint }) => endpoint);
    for (const { network, node, netns } of this.maybeEndpoints) {
      const found = endpoints.find(
        (row) => row.network === network && row.node === node && row.netns === `/run/netns/${netns}`,
      );
      if (found && !decided.endpoints.some(({ id }) => id === found.id)) decided.attached(found);
    }
    return decided;
  }
}
