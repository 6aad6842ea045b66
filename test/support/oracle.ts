/**
 * Compares what the model says with what iproute2, nft, redis-cli and the agents say. Both are put into words, one line a
 * fact, and the lines must be the same: what is missing and what is too much are the two halves of one list.
 * Nothing of src is used here.
 */
import { BlockList } from 'node:net';
import type { EndpointRow, Model, Network, NetworkRow } from './model.ts';
import type { Kernel, Link, Space } from './reading.ts';

/** What `ls` and `network inspect` say on one host. */
export type Listing = {
  networks: NetworkRow[];
  endpoints: EndpointRow[];
  inspected: { name: string; members: string[]; usage: { subnet: string; used: number }[] }[];
};
const underlay: Record<string, string> = { a: '10.77.0.1', b: '10.77.0.2', c: '10.77.0.3' };
const encryptedPort = 4789;
const plainPort = 4790;
export const namespaceOf = (network: Network): string => `warren-${network.vni}`;
const family = (address: string): 4 | 6 => (address.includes(':') ? 6 : 4);
const lengthOf = (network: Network, address: string): string =>
  network.subnets.find((subnet) => family(subnet) === family(address))?.replace(/.*\//, '') ?? '?';

/** What is wrong, in words; empty when nothing is. */
export function differences(want: readonly string[], have: readonly string[]): string[] {
  const [wanted, found] = [new Set(want), new Set(have)];
  const twice = have.filter((line, i) => have.indexOf(line) !== i);
  return [
    ...[...wanted].filter((line) => !found.has(line)).map((line) => `missing: ${line}`),
    ...[...found].filter((line) => !wanted.has(line)).map((line) => `too much: ${line}`),
    ...twice.map((line) => `twice: ${line}`),
  ];
}

/** The facts the model expects of one host's kernel. */
export function wantedKernel(model: Model, node: string): string[] {
  const here = model.on(node);
  const open = here.some(({ internal }) => !internal);
  const [secret, plain] = [true, false].map((encrypted) => here.filter((each) => each.encrypted === encrypted));
  return [
    ...model.containers.filter((each) => each.node === node).map(({ netns }) => `netns ${netns}`),
    ...(open || plain?.length ? ['host nft table warren'] : []),
    ...(plain?.length ? [wantedMembers(model.peers(node, plain))] : []),
    ...(secret?.length ? wantedIpsec(node, model.peers(node, secret)) : []),
    ...(open
      ? [
          'host nft forward: oifname == wup* status in dnat accept',
          'host nft forward: oifname == wup* state in new drop',
          'host nft egress: iifname == wup* masquerade',
        ]
      : []),
    ...here.flatMap((network) => wantedNetwork(model, node, network)),
    ...model.endpoints
      .filter((endpoint) => endpoint.node === node)
      .flatMap((endpoint) => wantedInside(model, endpoint)),
  ];
}

function wantedMembers(peers: readonly string[]): string {
  const addresses = peers.map((peer) => underlay[peer]);
  return `host nft members: dport == ${plainPort} ${addresses.length > 0 ? `saddr != ${addresses} ` : ''}drop`;
}

/** The guard, and with each peer policies and SAs both ways. */
function wantedIpsec(node: string, peers: readonly string[]): string[] {
  const self = underlay[node];
  const everything = `0.0.0.0/0 0.0.0.0/0 udp ${encryptedPort}`;
  return [
    'host nft table warren_guard',
    `host nft input: dport == ${encryptedPort} ipsec == false drop`,
    `host nft output: dport == ${encryptedPort} ipsec == false drop`,
    `host policy in ${everything} block 2`,
    `host policy out ${everything} block 2`,
    ...peers.flatMap((peer) => [
      `host policy in ${underlay[peer]}/32 ${self}/32 udp ${encryptedPort} allow 1 esp`,
      `host policy out ${self}/32 ${underlay[peer]}/32 udp ${encryptedPort} allow 1 esp by an SA`,
      `host sa ${underlay[peer]} ${self}`,
      `host sa ${self} ${underlay[peer]}`,
    ]),
  ];
}

function wantedNetwork(model: Model, node: string, network: Network): string[] {
  const ns = namespaceOf(network);
  const vxlan = `vxlan ${network.vni} port ${network.encrypted ? encryptedPort : plainPort} local ${underlay[node]} learning false proxy true`;
  const egress = [
    `host link wup${network.vni} up mtu 1500`,
    `${ns} up0 up mtu 1500`,
    `${ns} way out 4`,
    `${ns} way out 6`,
    `${ns} nft table warren`,
    `${ns} nft egress: iifname == br0 oifname == up0 masquerade`,
  ];
  return [
    `netns ${ns}`,
    `${ns} br0 up mtu ${network.mtu}`,
    ...network.gateway.map((address) => `${ns} br0 ${address}/${lengthOf(network, address)}`),
    `${ns} vx0 up mtu ${network.mtu} master br0 ${vxlan}`,
    ...(network.internal ? [] : egress),
    ...model
      .of(network)
      .flatMap(({ mac, addresses, node: home }) =>
        home === node
          ? [`${ns} port up mtu ${network.mtu} to ${mac}`]
          : [
              `${ns} fdb ${mac} dst ${underlay[home]}`,
              `${ns} fdb ${mac} behind vx0`,
              ...addresses.map((address) => `${ns} neigh ${address} ${mac}`),
            ],
      ),
  ];
}

function wantedInside(model: Model, endpoint: Model['endpoints'][number]): string[] {
  const network = model.network(endpoint.network) as Network;
  const { netns, ifname, mac, addresses } = endpoint;
  const has = (family_: 4 | 6): boolean => addresses.some((address) => family(address) === family_);
  return [
    `${netns} ${ifname} up mtu ${network.mtu} ${mac}`,
    ...addresses.map((address) => `${netns} ${ifname} ${address}/${lengthOf(network, address)}`),
    ...network.gateway
      .filter((via) => has(family(via)))
      .flatMap((via) => [
        ...network.vipPools
          .filter((pool) => family(pool) === family(via))
          .map((pool) => `${netns} route ${pool} ${via}`),
        ...(endpoint.defaultRoute ? [`${netns} route default ${via}`] : []),
      ]),
  ];
}

const state = (link: Link): string => `${link.flags.includes('UP') ? 'up' : 'down'} mtu ${link.mtu}`;
const global = (link: Link): string[] =>
  link.addr_info
    .filter(({ scope }) => scope === 'global')
    .map(({ local, prefixlen, tentative, dadfailed }) =>
      [`${local}/${prefixlen}`, ...(tentative ? ['tentative'] : []), ...(dadfailed ? ['duplicate'] : [])].join(' '),
    );

/** The facts found in one host's kernel. `before` names the links that were there before us. */
export function foundKernel({ host, namespaces, ipsec }: Kernel, before: ReadonlySet<string>): string[] {
  const ours = host.links.filter(({ ifname }) => !before.has(ifname));
  return [
    ...[...namespaces.keys()].map((name) => `netns ${name}`),
    ...ours.map((link) => `host link ${link.ifname} ${state(link)}`),
    ...host.tables.map((name) => `host nft table ${name}`),
    ...host.rules.map((rule) => `host nft ${rule}`),
    ...ipsec.map((fact) => `host ${fact}`),
    ...[...namespaces].flatMap(([name, space]) =>
      name.startsWith('warren-') ? foundNetwork(name, space, host, namespaces) : foundInside(name, space),
    ),
  ];
}

function foundNetwork(ns: string, space: Space, host: Space, all: ReadonlyMap<string, Space>): string[] {
  const containers = [...all].filter(([name]) => !name.startsWith('warren-')).flatMap(([, { links }]) => links);
  const outside = host.links.find(({ ifname }) => ifname === ns.replace('warren-', 'wup'));
  return [
    ...space.links.flatMap((link) => foundLink(ns, link, space, containers)),
    ...space.tables.map((name) => `${ns} nft table ${name}`),
    ...space.rules.map((rule) => `${ns} nft ${rule}`),
    ...space.routes
      .filter(({ gateway }) => gateway)
      .map(({ dst, gateway = '', dev }) => {
        const out = dst === 'default' && dev === 'up0' && outside?.addr_info.some(({ local }) => local === gateway);
        return out ? `${ns} way out ${family(gateway)}` : `${ns} route ${dst} ${gateway}`;
      }),
    ...space.neighs
      .filter(({ state, dev }) => dev === 'vx0' || state.includes('PERMANENT'))
      .map(({ dst, lladdr }) => `${ns} neigh ${dst} ${lladdr}`),
    ...space.fdb
      .filter(({ ifname, mac }) => ifname === 'vx0' && !/^(33:33|01:00:5e)/.test(mac))
      .filter(({ master, state }) => !(master && state === 'permanent'))
      .map(({ mac, dst, master }) => `${ns} fdb ${mac} ${dst ? `dst ${dst}` : master ? 'behind vx0' : 'nowhere'}`),
  ];
}

function foundLink(ns: string, link: Link, { fdb }: Space, containers: readonly Link[]): string[] {
  const { ifname, master = 'none', linkinfo } = link;
  if (ifname === 'lo') return [];
  if (ifname === 'br0') return [`${ns} br0 ${state(link)}`, ...global(link).map((address) => `${ns} br0 ${address}`)];
  if (ifname === 'up0') return [`${ns} up0 ${state(link)}`];
  const slave = linkinfo?.info_slave_data;
  const learns = slave && (slave.learning || slave.flood) ? ' learning or flooding' : '';
  if (linkinfo?.info_kind === 'vxlan') {
    const { id, port, local, local6, learning, proxy } = linkinfo.info_data ?? {};
    const vxlan = `vxlan ${id} port ${port} local ${local ?? local6} learning ${learning} proxy ${proxy}`;
    return [`${ns} ${ifname} ${state(link)} master ${master} ${vxlan}${learns}`];
  }
  if (master !== 'br0') return [`${ns} link ${ifname} master ${master}`];
  const macs = fdb.filter((entry) => entry.ifname === ifname && entry.master && entry.state !== 'permanent');
  return macs.length === 0
    ? [`${ns} port ${ifname} to nobody`]
    : macs.map(({ mac }) => {
        const end = containers.find((each) => each.address === mac);
        const peers = end?.link_index === link.ifindex && link.link_index === end.ifindex;
        return `${ns} port ${state(link)} to ${mac}${peers ? '' : ', which is not its peer'}${learns}`;
      });
}

function foundInside(name: string, { links, routes, neighs }: Space): string[] {
  return [
    ...links
      .filter(({ ifname }) => ifname !== 'lo')
      .flatMap((link) => [
        `${name} ${link.ifname} ${state(link)} ${link.address}`,
        ...global(link).map((address) => `${name} ${link.ifname} ${address}`),
      ]),
    ...routes.filter(({ gateway }) => gateway).map(({ dst, gateway }) => `${name} route ${dst} ${gateway}`),
    ...neighs.filter(({ state }) => state.includes('PERMANENT')).map(({ dst }) => `${name} neigh ${dst}`),
  ];
}

/** What every host should list. */
export function wantedListing(model: Model): string[] {
  return [
    ...model.networks.flatMap((network) => {
      const endpoints = model.of(network);
      const members = [...new Set(endpoints.map(({ node }) => node))].sort();
      return [
        networkLine({ ...network, endpoints: endpoints.length }),
        `members of ${network.name}: ${members}`,
        ...network.subnets.map((subnet) => `usage of ${network.name} ${subnet}: ${endpoints.length}`),
      ];
    }),
    ...model.endpoints.map((endpoint) =>
      endpointLine({
        ...endpoint,
        netns: `/run/netns/${endpoint.netns}`,
        mtu: model.network(endpoint.network)?.mtu ?? 0,
        vtep: underlay[endpoint.node] ?? '',
        state: 'ready',
      }),
    ),
  ];
}

export function foundListing({ networks, endpoints, inspected }: Listing): string[] {
  return [
    ...networks.map(networkLine),
    ...inspected.flatMap(({ name, members, usage }) => [
      `members of ${name}: ${[...members].sort()}`,
      ...usage.map(({ subnet, used }) => `usage of ${name} ${subnet}: ${used}`),
    ]),
    ...endpoints.map(endpointLine),
  ];
}

const networkLine = ({ id, name, vni, subnets, gateway, mtu, encrypted, internal, endpoints }: NetworkRow): string =>
  `network ${id} ${name} ${vni} ${subnets} ${gateway} mtu ${mtu} encrypted ${encrypted} internal ${internal}: ${endpoints}`;
const endpointLine = (row: EndpointRow): string =>
  `endpoint ${row.id} ${row.network}/${row.name} ${row.node} ${row.netns} ${row.ifname} ${row.addresses} ${row.mac} mtu ${row.mtu} vtep ${row.vtep} ${row.state}`;

/** What may not be, whatever was asked for: an address outside its subnets, or given to two. */
export function impossible(model: Model): string[] {
  return model.networks.flatMap((network) => {
    const subnets = new BlockList();
    for (const subnet of network.subnets) {
      const [base = '', length] = subnet.split('/');
      subnets.addSubnet(base, Number(length), `ipv${family(base)}`);
    }
    const given = model.of(network).flatMap(({ addresses }) => addresses);
    return [
      ...given.filter((address) => !subnets.check(address, `ipv${family(address)}`)).map((each) => `outside: ${each}`),
      ...given.filter((address, i) => given.indexOf(address) !== i).map((each) => `given to two: ${each}`),
    ];
  });
}

/** Interface indexes of what should never be made anew while it is wanted, as `HOST/VNI WHAT`. */
export function indexes(model: Model, kernels: readonly (readonly [node: string, Kernel])[]): Map<string, number> {
  const found = new Map<string, number>();
  for (const [node, { namespaces }] of kernels) {
    for (const network of model.on(node)) {
      const links = namespaces.get(namespaceOf(network))?.links ?? [];
      for (const { id, netns, ifname } of model.of(network).filter((endpoint) => endpoint.node === node)) {
        const inside = namespaces.get(netns)?.links.find((link) => link.ifname === ifname);
        if (inside?.link_index) found.set(`${node}/${network.vni} port of ${id}`, inside.link_index);
        // While one endpoint stays, the network's own links do.
        for (const link of links.filter(({ ifname }) => ['br0', 'vx0', 'up0'].includes(ifname)))
          found.set(`${node}/${network.vni} ${link.ifname} with ${id}`, link.ifindex);
      }
    }
  }
  return found;
}
