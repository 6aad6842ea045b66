import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { NetnsState } from '../../src/kernel/state.ts';
import { diff } from '../../src/plan/diff.ts';
import { leaving } from '../../src/plan/names.ts';
import { order } from '../../src/plan/order.ts';
import { nothing, type Scope } from '../../src/plan/scope.ts';
import { render } from '../support/render.ts';

const net = { path: '/run/netns/warren-1048576' };
const scope = (state: Partial<NetnsState>): Scope => ({
  namespaces: ['warren-1048576'],
  wishes: [{ netns: net, state: { ...nothing, ...state } }],
});
const steps = (want: Partial<NetnsState>, have: Partial<NetnsState>): string =>
  render(order(diff(scope(want), scope(have))));

test('equal is nothing to do, and fields nobody asked for do not matter', () => {
  const link = { name: 'br0', kind: 'bridge', mtu: 1450 };
  assert.equal(steps({ links: [link] }, { links: [{ ...link, group: 7, up: true }] }), '');
});

test('only the field that differs is set', () => {
  const link = { name: 'br0', kind: 'bridge', mtu: 1450, up: true };
  assert.equal(
    steps({ links: [link] }, { links: [{ ...link, mtu: 1500 }] }),
    '[warren-1048576] ip link set br0 mtu 1450\n',
  );
});

test('offload is set where it differs, and when the link is made', () => {
  const vxlan = { vni: 1048576, local: '10.0.0.1', port: 4789, learning: false, proxy: true };
  const link = { name: 'vx0', kind: 'vxlan', vxlan, tso: false };
  assert.equal(steps({ links: [link] }, { links: [{ ...link, mtu: 1450 }] }), '');
  assert.equal(
    steps({ links: [link] }, { links: [{ ...link, tso: true }] }),
    '[warren-1048576] ip link set vx0 tso off\n',
  );
  assert.match(
    steps({ links: [link] }, {}),
    /^ip link add wvx1048576 netns .*\n\[warren-1048576\] ip link set wvx1048576 tso off name vx0\n$/,
  );
  const { tso: _, ...careless } = link;
  assert.equal(steps({ links: [careless] }, { links: [link] }), '');
});

test('a vxlan with another vni is another link', () => {
  const vxlan = { vni: 1048576, local: '10.0.0.1', port: 4790, learning: false, proxy: true };
  const text = steps(
    { links: [{ name: 'vx0', kind: 'vxlan', vxlan }] },
    { links: [{ name: 'vx0', kind: 'vxlan', vxlan: { ...vxlan, local: '10.0.0.2' } }] },
  );
  assert.match(
    text,
    /^\[warren-1048576\] ip link del vx0\nip link add wvx1048576 .*netns warren-1048576.*\n\[warren-1048576\] ip link set wvx1048576 name vx0\n$/,
  );
});

test('what hangs on a link that is made anew is made anew, too, and nothing else', () => {
  const vxlan = { vni: 1048576, local: '10.0.0.1', port: 4790, learning: false, proxy: true };
  const rest: Partial<NetnsState> = {
    neighs: [
      { dev: 'vx0', dst: '10.9.0.12', lladdr: '0a:00:00:00:00:01', protocol: 119 },
      { dev: 'up0', dst: '10.9.0.13', lladdr: '0a:00:00:00:00:02', protocol: 119 },
    ],
    fdb: [
      { dev: 'vx0', lladdr: '0a:00:00:00:00:01', via: 'self', dst: '10.77.0.2', externLearn: true },
      { dev: 'vx0', lladdr: '0a:00:00:00:00:01', via: 'master', externLearn: true },
      { dev: 'wabcdefghijkl', lladdr: '0a:00:00:00:00:02', via: 'master', externLearn: true },
    ],
    sysctls: [
      { key: 'net/ipv6/conf/vx0/disable_ipv6', value: '1' },
      { key: 'net/ipv6/conf/up0/disable_ipv6', value: '1' },
    ],
  };
  const links = (local: string) => [{ name: 'vx0', kind: 'vxlan', master: 'br0', vxlan: { ...vxlan, local } }];
  const text = steps({ links: links('10.0.0.1'), ...rest }, { links: links('10.0.0.2'), ...rest });
  assert.match(text, /ip link del vx0\n[\s\S]*name vx0/);
  assert.equal(text.match(/0a:00:00:00:00:01/g)?.length, 3, text);
  assert.match(text, /conf\/vx0\/disable_ipv6|conf\.vx0\.disable_ipv6/);
  assert.doesNotMatch(text, /0a:00:00:00:00:02|up0/);
});

test('what is not ours stays, what is ours and unwanted goes', () => {
  const foreign: Partial<NetnsState> = {
    links: [
      { name: 'lo', kind: '' },
      { name: 'probe0', kind: 'veth' },
      { name: 'wlan0', kind: '' },
    ],
    addrs: [{ dev: 'probe0', address: '192.0.2.1/24' }],
    routes: [{ dst: '192.0.2.0/24', dev: 'probe0', protocol: 3 }],
    rules: [{ family: 4, priority: 32766, table: 254, protocol: 2 }],
    neighs: [{ dev: 'vx0', dst: '10.9.0.99', lladdr: '02:00:00:00:00:01' }],
    fdb: [{ dev: 'vx0', lladdr: '02:00:00:00:00:01', via: 'self', dst: '192.0.2.9' }],
  };
  assert.equal(steps({}, foreign), '');
  const ours: Partial<NetnsState> = {
    links: [
      { name: 'wabcdefghijkl', kind: 'veth' },
      { name: 'wvx1048576', kind: 'vxlan' },
    ],
    routes: [{ dst: '0.0.0.0/0', dev: 'up0', protocol: 119 }],
    rules: [{ family: 6, priority: 100, table: 100, fwmark: 1, protocol: 119 }],
    neighs: [{ dev: 'vx0', dst: '10.9.0.12', lladdr: '0a:00:00:00:00:01', protocol: 119 }],
    fdb: [{ dev: 'vx0', lladdr: '0a:00:00:00:00:01', via: 'self', dst: '10.77.0.2', externLearn: true }],
    nft: [{ family: 'inet', name: 'warren', text: '' }],
  };
  assert.equal(steps({}, ours).split('\n').length - 1, 8);
  // Cut off already, as when the agent died before the group was deleted.
  const cut = { name: 'wabcdefghijkl', kind: 'veth', up: false, master: null, group: leaving };
  assert.equal(steps({}, { links: [cut] }), '[warren-1048576] ip link del group 119119\n');
});

test('a rule is another one when any of it is: the kernel has no replace', () => {
  const rule = { family: 4, priority: 100, table: 100, fwmark: 1, protocol: 119 } as const;
  assert.equal(steps({ rules: [rule] }, { rules: [rule] }), '');
  assert.equal(
    steps({ rules: [{ ...rule, fwmark: 2 }] }, { rules: [rule] }),
    `[warren-1048576] ip rule add ${JSON.stringify({ ...rule, fwmark: 2 })}
[warren-1048576] ip rule del ${JSON.stringify(rule)}
`,
  );
});

test('a local route and a unicast one to the same place are two, each in its table', () => {
  const here = { dst: '10.64.0.0/22', type: 'local', dev: 'lo', protocol: 119 } as const;
  const there = { dst: '10.64.0.0/22', via: '10.9.0.1', dev: 'br0', protocol: 119 };
  const have = { routes: [{ ...here, table: 255 }] };
  assert.equal(steps({ routes: [here] }, have), '');
  assert.equal(
    steps({ routes: [there] }, have),
    `[warren-1048576] ip route replace 10.64.0.0/22 via 10.9.0.1 dev br0 proto 119
[warren-1048576] ip route del local 10.64.0.0/22 dev lo proto 119
`,
  );
});

test('a sysctl that the kernel does not have is left out, one of a link to come is not', () => {
  const state: Partial<NetnsState> = {
    links: [{ name: 'br0', kind: 'bridge' }],
    sysctls: [
      { key: 'net/bridge/bridge-nf-call-iptables', value: '0' },
      { key: 'net/ipv6/conf/br0/accept_ra', value: '0' },
    ],
  };
  assert.equal(
    steps(state, {}),
    '[warren-1048576] sysctl -w net.ipv6.conf.br0.accept_ra=0\n[warren-1048576] ip link add br0 type bridge\n',
  );
});

test('a container’s namespace is never cleaned by us: what we had in it went with its veth', () => {
  const inside: Scope = {
    namespaces: [],
    wishes: [
      {
        netns: { path: '/run/netns/c1' },
        state: { ...nothing, routes: [{ dst: '0.0.0.0/0', dev: 'eth0', protocol: 119 }] },
      },
    ],
  };
  assert.deepEqual(diff({ namespaces: [], wishes: [] }, inside), []);
});

test('in a container that is in two networks, one leaves the other’s routes alone', () => {
  const netns = { path: '/run/netns/web' };
  const route = (dst: string, dev: string) => ({ dst, dev, protocol: 119 });
  const inside = (state: Partial<NetnsState>): Scope => ({
    namespaces: [],
    wishes: [{ netns, state: { ...nothing, ...state } }],
  });
  const want = inside({ links: [{ name: 'eth1' }], routes: [route('10.64.4.0/22', 'eth1')] });
  const have = inside({
    links: [{ name: 'eth0' }, { name: 'eth1' }],
    routes: [route('0.0.0.0/0', 'eth0'), route('10.64.4.0/22', 'eth1'), route('10.64.8.0/22', 'eth1')],
  });
  assert.deepEqual(diff(want, have), [{ netns, op: { op: 'route.del', route: route('10.64.8.0/22', 'eth1') } }]);
});
