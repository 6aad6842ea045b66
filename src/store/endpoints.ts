import type { Endpoint } from '../model/endpoint.ts';
import { WarrenError } from '../model/error.ts';
import type { EndpointId, NetworkId } from '../model/id.ts';
import type { Ip } from '../model/ip.ts';
import { familyOf, gatewayOf, toHex } from '../model/ip.ts';
import type { Network } from '../model/network.ts';
import { members, parseDocument, sorted } from './document.ts';
import { capacityOf } from './ipam.ts';
import { closing, open, record, unknownNetwork, usage } from './networks.ts';
import { staleEpoch } from './nodes.ts';
import { unknownService } from './services.ts';
import type { Session } from './session.ts';
import { unexpected } from './session.ts';
import { networkSince } from './since.ts';
import type { EndpointWish, Serving } from './store.ts';
import { tell } from './written.ts';

export async function endpointAttach(session: Session, network: Network, wish: EndpointWish): Promise<Endpoint> {
  const [four, six] = wished(network, wish);
  const { addresses: _, epoch, labels, backend, ...rest } = wish;
  const { boot, dev, inode } = wish.born;
  const keys = session.network(network.id);
  const args = [
    wish.id,
    wish.node,
    epoch,
    wish.name,
    wish.mac,
    [wish.node, boot, dev, inode].join('/'),
    members({ ...rest, labels: sorted(labels) }),
    four ? toHex(four) : '',
    six ? toHex(six) : '',
    JSON.stringify(backend),
  ];
  const names = [
    ...[
      keys.meta,
      keys.changes,
      keys.endpoints,
      keys.names,
      keys.macs,
      keys.netns,
      keys.epochs,
      keys.reserved,
      keys.holds,
    ],
    ...[keys.addresses4, keys.pool4, keys.cooling4, keys.addresses6, keys.pool6, keys.cooling6, keys.services],
  ];
  const attempt = () => session.change('attach-endpoint-16', network.id, names, args);
  let reply = await attempt();
  if (reply[0] === 'ok') return made(session, network.id, reply);
  // The slot may be missing or older than the registry's record: whoever wrote that died before the second step.
  if (behind.has(reply[0]) && ((await open(session, await record(session, network.id))) || reply[0] === 'absent')) {
    reply = await attempt();
    if (reply[0] === 'ok') return made(session, network.id, reply);
  }
  throw await refused(session, network, wish, reply);
}

/** `ok DOCUMENT`, and where that is news `INCARNATION ENTRY BEFORE`. */
function made(session: Session, network: NetworkId, [, document, ...change]: readonly string[]): Endpoint {
  const endpoint = parseDocument('endpoint', document);
  tell(session, network, { kind: 'endpoint', id: endpoint.id, value: endpoint }, change);
  return endpoint;
}

const behind = new Set(['absent', 'no_subnet', 'outside_subnet', 'address_exhausted']);

function wished(network: Network, wish: EndpointWish): [Ip | undefined, Ip | undefined] {
  const four = wish.addresses.filter((ip) => familyOf(ip) === 4);
  const six = wish.addresses.filter((ip) => familyOf(ip) === 6);
  if (four.length > 1 || six.length > 1) {
    throw new WarrenError('invalid_input', `network "${network.name}": at most one address per family`);
  }
  return [four[0], six[0]];
}

async function refused(
  session: Session,
  network: Network,
  wish: EndpointWish,
  reply: readonly string[],
): Promise<WarrenError> {
  const [status = '', first = '', second, third] = reply;
  const at = `network "${network.name}": `;
  const family = Number(first);
  const ip = wish.addresses.find((address) => familyOf(address) === family);
  const subnet = network.subnets.find((each) => familyOf(each) === family);
  switch (status) {
    case 'gone':
    case 'network_closing':
      return closing(status, network.id, network.name);
    case 'stale_epoch':
      return staleEpoch(wish.epoch, first);
    case 'recovering':
      return new WarrenError(
        'store_lost_writes',
        `${at}the store lost writes, and node ${first.replaceAll(' ', ', ')} has not told yet which addresses it holds`,
        'try again in some seconds',
      );
    case 'service_not_found':
      return unknownService(network.name, wish.backend?.service ?? '');
    case 'name_taken':
      return new WarrenError(status, `${at}the name "${wish.name}" is taken (${first})`, 'choose another with --name');
    case 'netns_attached':
      return new WarrenError(
        status,
        `${at}${wish.netns} is attached already, as endpoint "${second}" (${first})`,
        `detach it first: warren detach ${first}`,
      );
    case 'mac_taken':
      return new WarrenError(
        status,
        `${at}${wish.mac} is endpoint "${second}" (${first})`,
        'choose another with --mac',
      );
    case 'address_taken':
      return new WarrenError(status, `${at}${ip} is endpoint "${third}" (${second})`, 'choose another with --ip');
    case 'no_subnet':
      return new WarrenError(
        'invalid_input',
        `${at}it has no IPv${family} subnet for ${ip}`,
        `its subnets: ${network.subnets.join(', ')}`,
      );
    case 'outside_subnet':
      return new WarrenError('invalid_input', `${at}${ip} is not in its subnet ${subnet}`);
    case 'special_address': {
      const gateway = subnet && gatewayOf(subnet) === ip;
      const what = gateway ? 'the gateway' : `the first or last address of ${subnet}`;
      return new WarrenError('invalid_input', `${at}${ip} is ${what} and cannot be given out`);
    }
    case 'address_exhausted': {
      const use = (await usage(session, network.id)).find((each) => familyOf(each.subnet) === family);
      const { total, reserved } = subnet ? capacityOf(network, subnet) : { total: 0, reserved: 0 };
      const numbers = `${total} addresses, ${reserved} reserved, ${use?.used ?? '?'} endpoints`;
      return new WarrenError(
        status,
        `${at}no address is left in ${use?.subnet ?? subnet} (${numbers})`,
        'detach endpoints, or grow it: warren network update --subnet',
      );
    }
  }
  return unexpected(status);
}

export async function endpointReady(
  session: Session,
  network: NetworkId,
  id: EndpointId,
  epoch: number,
): Promise<Endpoint> {
  const { meta, changes, endpoints: docs, epochs, holds } = session.network(network);
  const reply = await session.change('ready-endpoint-5', network, [meta, changes, docs, epochs, holds], [id, epoch]);
  const [status, detail] = reply;
  switch (status) {
    case 'ok':
      return made(session, network, reply);
    case 'endpoint_not_found':
      throw new WarrenError(status, `network ${network} has no endpoint ${id}`, 'see: warren endpoint ls');
    case 'stale_epoch':
      throw staleEpoch(epoch, detail);
    case 'network_closing':
      throw closing(status, network, network);
    case 'absent':
    case 'gone':
      throw unknownNetwork(network);
  }
  throw unexpected(status);
}

export async function endpointDetach(
  session: Session,
  network: NetworkId,
  id: EndpointId,
): Promise<Endpoint | undefined> {
  const keys = session.network(network);
  const names = [
    ...[keys.meta, keys.changes, keys.endpoints, keys.names, keys.macs, keys.netns, keys.holds],
    ...[keys.addresses4, keys.cooling4, keys.addresses6, keys.cooling6],
  ];
  const [status, detail, ...change] = await session.change('detach-endpoint-11', network, names, [
    id,
    session.cooldownMs,
  ]);
  if (status === 'absent' || status === 'gone') return undefined;
  if (status !== 'ok') throw unexpected(status);
  tell(session, network, { kind: 'endpoint', id, value: undefined }, change);
  return detail === undefined ? undefined : parseDocument('endpoint', detail);
}

export async function endpointServe(
  session: Session,
  network: NetworkId,
  id: EndpointId,
  { expect, backend, state, epoch }: Serving,
): Promise<Endpoint | undefined> {
  const keys = session.network(network);
  const reply = await session.change(
    'serve-endpoint-5',
    network,
    [keys.meta, keys.changes, keys.endpoints, keys.services, keys.epochs],
    [id, epoch ?? '', expect ?? '', JSON.stringify(backend), state ?? ''],
  );
  const [status, detail = '', name] = reply;
  switch (status) {
    case 'ok':
      return made(session, network, reply);
    case 'unexpected':
    case 'endpoint_not_found':
    case 'absent':
    case 'gone':
      return undefined;
    case 'stale_epoch':
      throw staleEpoch(epoch ?? 0, detail);
    case 'service_not_found':
      throw unknownService(network, backend?.service ?? '');
    case 'backend_taken':
      throw new WarrenError(
        status,
        `the endpoint is a backend of service "${name}"`,
        `end that first: warren service drain ${name} ENDPOINT`,
      );
  }
  throw unexpected(status);
}

/** A network nobody knows is an error, never an empty list. */
export async function endpoints(session: Session, network: NetworkId): Promise<readonly Endpoint[]> {
  const whole = await networkSince(session, network, undefined);
  if (whole?.kind === 'snapshot') return whole.snapshot.endpoints;
  await record(session, network);
  return [];
}

export async function endpointCount(session: Session, network: NetworkId): Promise<number> {
  return session.connection.use((client) => client.hlen(session.network(network).endpoints));
}
