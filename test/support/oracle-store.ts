/** The store as redis-cli shows it, in the same words as the rest of the oracle; src/store/keys.ts says what each key holds. */
import type { Guest } from '../lab/guest.ts';
import type { Model } from './model.ts';

type Dump = Record<string, string[] | number>;

const script = `
local all = {}
for _, key in ipairs(redis.call('KEYS', '*')) do
  local kind = redis.call('TYPE', key).ok
  if kind == 'hash' then all[key] = redis.call('HGETALL', key)
  elseif kind == 'set' then all[key] = redis.call('SMEMBERS', key)
  elseif kind == 'zset' then all[key] = redis.call('ZRANGE', key, 0, -1)
  elseif kind == 'string' then all[key] = redis.call('BITCOUNT', key) end
end
return cjson.encode(all)`;

export async function readStore(guest: Guest): Promise<Dump> {
  return guest.json<Dump>(['redis-cli', 'eval', script, '0']);
}

/** An empty Lua table is an object to cjson. */
const items = (dump: Dump, key: string): string[] => {
  const value = dump[key];
  return Array.isArray(value) ? value : [];
};
const pairs = (dump: Dump, key: string): [string, string][] => {
  const flat = items(dump, key);
  return flat.flatMap((name, i): [string, string][] => (i % 2 === 0 ? [[name, flat[i + 1] ?? '']] : []));
};

/** Fixed-width hex, as the store compares addresses. */
function hex(address: string): string {
  const byte = (text: string) => Number(text).toString(16).padStart(2, '0');
  if (!address.includes(':')) return address.split('.').map(byte).join('');
  const [head = '', tail = ''] = address.split('::').map((half) => half.split(':').filter(Boolean));
  const zeros = Array<string>(8 - head.length - tail.length).fill('0');
  return [...head, ...zeros, ...tail].map((group) => group.padStart(4, '0')).join('');
}

export function wantedStore(model: Model): string[] {
  return [
    `bits of vnis: ${model.networks.length}`,
    ...model.networks.flatMap((network) => [
      `network ${network.name} ${network.id}`,
      ...[...network.subnets, ...network.vipPools].map((cidr) => `prefix ${network.name} ${cidr}`),
      ...model
        .of(network)
        .flatMap(({ id, name, mac, addresses }) => [
          `${network.name} endpoint ${id}`,
          `${network.name} holds ${id}`,
          `${network.name} netns ${id}`,
          `${network.name} name ${name} ${id}`,
          `${network.name} mac ${mac} ${id}`,
          ...addresses.map((address) => `${network.name} address ${hex(address)} ${id}`),
        ]),
    ]),
  ];
}

export function foundStore(dump: Dump): string[] {
  const registry = 'warren:{default}:';
  const networks = pairs(dump, `${registry}network-names`);
  const nameOf = new Map(networks.map(([name, id]) => [id, name]));
  return [
    `bits of vnis: ${dump[`${registry}vnis`] ?? 0}`,
    ...networks.map(([name, id]) => `network ${name} ${id}`),
    ...items(dump, `${registry}prefix-index`).map((text) => {
      const [, , , , id = '', , cidr] = text.split(' ');
      return `prefix ${nameOf.get(id) ?? id} ${cidr}`;
    }),
    ...networks.flatMap(([name, id]) => foundSlot(dump, name, `warren:{default/${id}}:`)),
    ...leftovers(dump, new Set(nameOf.keys()), new Set(items(dump, `${registry}purges`))),
  ];
}

function foundSlot(dump: Dump, name: string, slot: string): string[] {
  const of = (key: string) => pairs(dump, `${slot}${key}`);
  return [
    ...of('endpoints').map(([id]) => `${name} endpoint ${id}`),
    ...of('holds').map(([id]) => `${name} holds ${id}`),
    ...of('netns').map(([, id]) => `${name} netns ${id}`),
    ...of('names').map(([owner, id]) => `${name} name ${owner} ${id}`),
    ...of('macs').map(([mac, id]) => `${name} mac ${mac} ${id}`),
    ...['4', '6'].flatMap((family) => {
      const used = of(`addresses:${family}`);
      const cooling = items(dump, `${slot}cooling:${family}`);
      const bits = Number(dump[`${slot}pool:${family}`] ?? 0);
      const leaked = bits === used.length + cooling.length ? [] : [`${name} pool ${family} has ${bits} bits`];
      return [...used.map(([address, id]) => `${name} address ${address} ${id}`), ...leaked];
    }),
  ];
}

/** Of a removed network only a mark stays for an hour; a removal that was cut off is finished by the next one. */
function leftovers(dump: Dump, known: ReadonlySet<string>, due: ReadonlySet<string>): string[] {
  return Object.keys(dump).flatMap((key) => {
    const [, id, what] = /^warren:\{default\/([a-z2-7]{16})\}:(.*)$/.exec(key) ?? [];
    if (!id || known.has(id) || due.has(id)) return [];
    if (what === 'meta' && pairs(dump, key).some(([field, value]) => field === 'state' && value === 'gone')) return [];
    return [`leftover ${key}`];
  });
}
