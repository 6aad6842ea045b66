import { WarrenError } from '../model/error.ts';
import type { NetworkId, ServiceId } from '../model/id.ts';
import { familyOf, rangeOf, toHex } from '../model/ip.ts';
import type { Network } from '../model/network.ts';
import type { Service } from '../model/service.ts';
import { parseDocument, serviceLines } from './document.ts';
import { closing, open, record, unknownNetwork } from './networks.ts';
import type { Session } from './session.ts';
import { unexpected } from './session.ts';
import { networkSince } from './since.ts';
import type { ServiceWish } from './store.ts';
import { tell } from './written.ts';

/** Marks in the kernel are made from a virtual IP's place in its pool: 13 bits (plan/desired/service.ts). */
const mostPerNetwork = 0x1ffe;

export async function serviceCreate(session: Session, network: Network, wish: ServiceWish): Promise<Service> {
  const plan = {
    pools: network.vipPools.map((pool) => {
      const { first, last } = rangeOf(pool);
      const hex = toHex(pool.slice(0, pool.indexOf('/')) as never);
      const asked = wish.vips.find((ip) => familyOf(ip) === familyOf(pool));
      return {
        head: hex.slice(0, -8),
        low: Number(first & 0xffff_ffffn),
        count: Math.min(Number(last - first) - 1, mostPerNetwork),
        hex: asked ? toHex(asked) : '',
      };
    }),
  };
  const made = await put(session, network, wish, 'new', plan);
  if (made) return made;
  // The slot is missing: whoever wrote the registry's record died before the second step.
  await open(session, await record(session, network.id));
  return (await put(session, network, wish, 'new', plan)) ?? absent(network.id);
}

export async function serviceUpdate(session: Session, network: Network, service: Service): Promise<Service> {
  return (await put(session, network, service, 'known', {})) ?? absent(network.id);
}

/** undefined: the network has no slot. */
async function put(
  session: Session,
  network: Network,
  wish: ServiceWish,
  mode: 'new' | 'known',
  plan: object,
): Promise<Service | undefined> {
  const { meta, changes, services, names, vips } = session.network(network.id);
  const { head, settings } = serviceLines(wish);
  const [status, detail, ...change] = await session.change(
    'put-service-5',
    network.id,
    [meta, changes, services, names, vips],
    [wish.id, wish.name, mode, head, settings, JSON.stringify(plan)],
  );
  const at = `network "${network.name}": `;
  switch (status) {
    case 'ok': {
      const service = parseDocument('service', detail);
      tell(session, network.id, { kind: 'service', id: service.id, value: service }, change);
      return service;
    }
    case 'absent':
      return undefined;
    case 'gone':
    case 'network_closing':
      throw closing(status, network.id, network.name);
    case 'service_not_found':
      throw unknownService(network.name, wish.name);
    case 'name_taken':
      throw new WarrenError(status, `${at}the name "${wish.name}" is taken (${detail})`, 'choose another name');
    case 'address_taken': {
      const ip = wish.vips.find((each) => toHex(each) === detail);
      throw new WarrenError(status, `${at}${ip} is service "${change[0]}"`, 'choose another with --vip');
    }
    case 'vip_exhausted':
      throw new WarrenError(
        'address_exhausted',
        `${at}no virtual IP is left in ${network.vipPools.join(' and ')}`,
        'remove services, or make another network',
      );
  }
  throw unexpected(status);
}

export async function serviceRemove(session: Session, network: NetworkId, id: ServiceId): Promise<boolean> {
  const { meta, changes, services, names, vips } = session.network(network);
  const keys = [meta, changes, services, names, vips];
  const [status, removed, ...change] = await session.change('remove-service-5', network, keys, [id]);
  if (status === 'absent' || status === 'gone') return false;
  if (status !== 'ok') throw unexpected(status);
  tell(session, network, { kind: 'service', id, value: undefined }, change);
  return removed === '1';
}

/** A network nobody knows is an error, never an empty list. */
export async function services(session: Session, network: NetworkId): Promise<readonly Service[]> {
  const whole = await networkSince(session, network, undefined);
  if (whole?.kind === 'snapshot') return whole.snapshot.services;
  await record(session, network);
  return [];
}

export function unknownService(network: string, reference: string): WarrenError {
  return new WarrenError(
    'service_not_found',
    `network "${network}" has no service "${reference}"`,
    'make it: warren service create; see: warren service ls',
  );
}

function absent(network: NetworkId): never {
  throw unknownNetwork(network);
}
