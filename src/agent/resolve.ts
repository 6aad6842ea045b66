import { Resolver } from 'node:dns/promises';
import { findEndpoint, findNetwork } from '../control/find.ts';
import { type Answer, answer } from '../dns/answer.ts';
import { type Rr, types } from '../dns/record.ts';
import { Zone } from '../dns/zone.ts';
import { WarrenError } from '../model/error.ts';
import type { Ip } from '../model/ip.ts';
import { familyOf, parseIp, toHex } from '../model/ip.ts';
import type { Network } from '../model/network.ts';
import type { View } from '../model/view.ts';
import type { Agent } from './agent.ts';

export type Resolved = {
  name: string;
  /** Whose name it is; null: somebody else's, asked for at the host's resolvers. */
  network: string | null;
  records: { name: string; type: string; ttl: number | null; data: string }[];
  addresses: string[];
};

/** What a name, or an address, means to an endpoint; without one, to endpoints of whatever network knows it. */
export async function resolveName(agent: Agent, view: View, given: string, from?: string): Promise<Resolved> {
  const slash = given.indexOf('/');
  const name = given
    .slice(slash + 1)
    .replace(/\.$/, '')
    .toLowerCase();
  const endpoint = from === undefined ? undefined : await findEndpoint(agent.store, view, from);
  const chosen =
    slash < 0 ? view.networks.get(endpoint?.network as Network['id']) : findNetwork(view, given.slice(0, slash));
  const answers = await Promise.all(
    (chosen ? [chosen] : [...view.networks.values()]).map(async (network) => ({
      network,
      answers: answersOf(agent, view, await zoneOf(agent, view, network), name),
    })),
  );
  const known = answers.filter(({ answers: [first] }) => first?.kind === 'records' || first?.kind === 'nodata');
  if (known.length > 1) {
    const names = known.map(({ network }) => `${network.name}/${name}`).join(', ');
    throw new WarrenError('ambiguous', `name "${name}" is known to several networks: ${names}`, 'write NETWORK/NAME');
  }
  const [found] = known;
  if (found)
    return shown(
      name,
      found.network.name,
      found.answers.flatMap((each) => (each.kind === 'records' ? each.records : [])),
    );
  const kinds = new Set(answers.map(({ answers: [first] }) => first?.kind));
  if (kinds.has('forward') || view.networks.size === 0) return elsewhere(name);
  throw notFound(name, kinds.has('refused') ? 'nothing else can be asked for in an internal network' : undefined);
}

/** Records first, so that one kind of answer speaks for all. */
function answersOf(agent: Agent, view: View, zone: Zone, name: string): Answer[] {
  const names = new Set([...view.networks.values()].map((network) => network.name));
  const around = { down: agent.down, resting: agent.resting, isNetwork: (each: string) => names.has(each) };
  const address = parseIp(name);
  const labels = (address ? reverseOf(address) : name).split('.');
  const asked =
    address || labels.at(-1) === 'arpa' ? [types.PTR] : name.startsWith('_') ? [types.SRV] : [types.A, types.AAAA];
  const answers = asked.map((type) => answer(zone, around, { labels, type, class: 1 }, 0));
  return answers.sort((a, b) => Number(b.kind === 'records') - Number(a.kind === 'records'));
}

async function zoneOf({ store }: Agent, view: View, network: Network): Promise<Zone> {
  const followed = view.followed.get(network.id);
  if (followed) return new Zone(followed);
  const delta = await store.networkSince(network.id, undefined);
  const { endpoints = [], services = [] } = delta?.kind === 'snapshot' ? delta.snapshot : {};
  const byId = <T extends { id: string }>(list: readonly T[]) =>
    new Map(list.map((each) => [each.id as T['id'], each]));
  const revision = delta?.revision ?? view.revision;
  return new Zone({ network, revision, endpoints: byId(endpoints), services: byId(services) });
}

function shown(name: string, network: string | null, records: readonly Rr[]): Resolved {
  return {
    name,
    network,
    records: records.map((record) => ({ name: record.name, type: record.type, ttl: record.ttl, data: dataOf(record) })),
    addresses: records.flatMap((record) => ('address' in record ? [record.address] : [])),
  };
}

/** As dig(1) prints it. */
function dataOf(record: Rr): string {
  if ('address' in record) return record.address;
  if (record.type === 'SRV') return `${record.priority} ${record.weight} ${record.port} ${record.target}.`;
  return 'target' in record ? `${record.target}.` : '';
}

async function elsewhere(name: string): Promise<Resolved> {
  const resolver = new Resolver({ timeout: 1500, tries: 2 });
  const [four, six] = await Promise.all([
    resolver.resolve4(name, { ttl: true }).catch(() => []),
    resolver.resolve6(name, { ttl: true }).catch(() => []),
  ]);
  if (four.length + six.length === 0) throw notFound(name);
  const records = [...four.map((each) => ({ ...each, type: 'A' })), ...six.map((each) => ({ ...each, type: 'AAAA' }))];
  return {
    name,
    network: null,
    records: records.map(({ type, ttl, address }) => ({ name, type, ttl, data: address })),
    addresses: records.map(({ address }) => address),
  };
}

function reverseOf(address: Ip): string {
  if (familyOf(address) === 4) return `${address.split('.').reverse().join('.')}.in-addr.arpa`;
  return `${[...toHex(address)].reverse().join('.')}.ip6.arpa`;
}

function notFound(name: string, why?: string): WarrenError {
  return new WarrenError(
    'name_not_found',
    `no such name: "${name}"${why ? `; ${why}` : ''}`,
    'see: warren endpoint ls, warren network ls',
  );
}
