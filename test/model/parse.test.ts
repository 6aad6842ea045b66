import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WarrenError } from '../../src/model/error.ts';
import { parseAttach, parseNetwork } from '../../src/model/parse.ts';

const refused = (work: () => unknown): WarrenError => {
  try {
    work();
  } catch (error) {
    assert.ok(error instanceof WarrenError, String(error));
    return error;
  }
  return assert.fail('not refused');
};

test('a network’s defaults: encrypted, automatic, open', () => {
  const wish = parseNetwork({ name: 'App' });
  assert.equal(wish.name, 'app');
  assert.deepEqual([wish.encrypted, wish.mtu, wish.internal, wish.subnets], [true, 'auto', false, []]);
});

test('IPv4 comes first in every list', () => {
  assert.deepEqual(parseNetwork({ name: 'a', subnets: ['fd09::/64', '10.9.0.0/16'] }).subnets, [
    '10.9.0.0/16',
    'fd09::/64',
  ]);
});

const badNetworks: readonly (readonly [what: string, input: Record<string, unknown>])[] = [
  ['name with a dot', { name: 'a.b' }],
  ['name starting with a hyphen', { name: '-a' }],
  ['reserved name', { name: 'tasks' }],
  ['name too long', { name: 'a'.repeat(64) }],
  ['malformed subnet', { name: 'a', subnets: ['10.9.0.0'] }],
  ['host bits', { name: 'a', subnets: ['10.9.0.1/16'] }],
  ['short address', { name: 'a', subnets: ['10.9/16'] }],
  ['prefix too long for the family', { name: 'a', subnets: ['10.9.0.0/33'] }],
  ['two of one family', { name: 'a', subnets: ['10.8.0.0/16', '10.9.0.0/16'] }],
  ['too small', { name: 'a', subnets: ['10.9.0.0/30'] }],
  ['too large', { name: 'a', subnets: ['0.0.0.0/0'] }],
  ['loopback', { name: 'a', subnets: ['127.1.0.0/16'] }],
  ['link-local', { name: 'a', subnets: ['169.254.0.0/16'] }],
  ['multicast', { name: 'a', subnets: ['ff05::/64'] }],
  ['MTU too small', { name: 'a', mtu: 100 }],
  ['MTU not a number', { name: 'a', mtu: Number.NaN }],
  ['range outside the subnet', { name: 'a', subnets: ['10.9.0.0/16'], ipRanges: ['10.8.0.0/24'] }],
  ['range without a subnet', { name: 'a', ipRanges: ['10.8.0.0/24'] }],
  ['reserving the gateway', { name: 'a', subnets: ['10.9.0.0/16'], reserved: ['10.9.0.1'] }],
  ['unknown field', { name: 'a', subnet: '10.9.0.0/16' }],
  ['not a name at all', { name: 7 }],
];

for (const [what, input] of badNetworks) {
  test(`network refused: ${what}`, () => {
    const error = refused(() => parseNetwork(input));
    assert.equal(error.exit, 2);
    assert.match(error.message, /network/);
  });
}

const badAttaches: readonly (readonly [what: string, input: Record<string, unknown>])[] = [
  ['relative netns', { network: 'a', netns: 'c1' }],
  ['address of nothing', { network: 'a', netns: '/run/netns/c1', addresses: ['10.9.0'] }],
  ['two addresses of a family', { network: 'a', netns: '/run/netns/c1', addresses: ['10.9.0.1', '10.9.0.2'] }],
  ['multicast MAC', { network: 'a', netns: '/run/netns/c1', mac: '01:00:5e:00:00:01' }],
  ['interface name too long', { network: 'a', netns: '/run/netns/c1', ifname: 'x'.repeat(16) }],
  ['interface name with a slash', { network: 'a', netns: '/run/netns/c1', ifname: 'a/b' }],
];

for (const [what, input] of badAttaches) {
  test(`attach refused: ${what}`, () => assert.equal(refused(() => parseAttach(input)).exit, 2));
}
