import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Ip } from '../../src/model/ip.ts';
import type { Publish } from '../../src/model/service.ts';
import { networkParts, networkScope, partScope } from '../../src/plan/desired/network.ts';
import { nodeScope } from '../../src/plan/desired/node.ts';
import { twinMark } from '../../src/plan/desired/service.ts';
import { diff } from '../../src/plan/diff.ts';
import type { PartKey } from '../../src/plan/key.ts';
import { hairpinKey, keysOfEndpoint, keysOfService, serviceKey } from '../../src/plan/key.ts';
import { order } from '../../src/plan/order.ts';
import type { Scope } from '../../src/plan/scope.ts';
import { golden } from '../support/golden.ts';
import { render } from '../support/render.ts';
import { backend, endpoint, network, node, service, view } from '../support/world.ts';

const none: Scope = { namespaces: [], wishes: [] };
const [a, b] = [node('a', 1), node('b', 2)];
const app = network('app', { members: [a.id, b.id] });
const web = service('web', app, 1, {
  ports: [
    { port: 80, target: 8080, proto: 'tcp' },
    { port: 53, target: 5353, proto: 'udp' },
  ],
});
const w1 = endpoint('w1', app, a, 11, { backend: backend(web, { weight: 3 }) });
const w2 = endpoint('w2', app, b, 12, { backend: backend(web) });
const client = endpoint('client', app, a, 13);
const whole = view([a, b], [app], [w1, w2, client], [web]);
const followed = (of = whole) => of.followed.get(app.id) ?? assert.fail();
const part = (key: PartKey, of = whole, down = new Set<typeof a.id>()) =>
  partScope(of, a.id, followed(of), key, { down });
const dests = (scope: Scope) =>
  scope.wishes
    .flatMap(({ state }) => state.ipvsDests)
    .filter(({ service: key, address }) => 'proto' in key && key.proto === 'tcp' && !address.includes(':'));

test('a service: direct routing to every backend, a twin for calls of backends to themselves', () => {
  golden('plan/service', render(order(diff(part(serviceKey(app.id, web.id)), none))));
  golden('plan/hairpin', render(order(diff(part(hairpinKey(app.id)), none))));
});

test('the parts of a network are all of it, and a backend’s own namespace maps its ports', () => {
  const parts = networkParts(whole, a, followed());
  assert.deepEqual(
    [...parts.keys()],
    [
      app.id,
      ...[w1, w2, client].map(({ id }) => `${app.id}/endpoint/${id}`),
      `${app.id}/hairpin`,
      `${app.id}/service/${web.id}`,
    ],
  );
  const inside = parts.get(`${app.id}/endpoint/${w1.id}`)?.wishes.find(({ netns }) => netns.path === w1.netns);
  assert.match(inside?.state.nft[0]?.text ?? '', /iifname "eth0" ip daddr 10\.64\.0\.1 tcp dport 80 redirect to :8080/);
  const other = parts.get(`${app.id}/endpoint/${client.id}`)?.wishes.find(({ netns }) => netns.path === client.netns);
  assert.deepEqual(other?.state.nft, []);
});

test('new connections only where one is ready, healthy, not draining, and its host not dead', () => {
  const key = serviceKey(app.id, web.id);
  const weights = (of = whole, down = new Set<typeof a.id>()) => dests(part(key, of, down)).map(({ weight }) => weight);
  assert.deepEqual(weights(), [3, 1]);
  const checked = { ...web, health: { ...web.health, check: 'tcp' as const } };
  const sick = { ...w1, backend: backend(web, { healthy: false }) };
  const states = [
    { ...w1, state: 'starting' as const },
    { ...w1, state: 'draining' as const },
  ];
  for (const one of states) assert.deepEqual(weights(view([a, b], [app], [one, w2], [web])), [0, 1], one.state);
  assert.deepEqual(weights(view([a, b], [app], [sick, w2], [checked])), [0, 1]);
  assert.deepEqual(weights(view([a, b], [app], [sick, w2], [web])), [1, 1], 'nobody checks');
  assert.deepEqual(weights(whole, new Set([b.id])), [3, 0]);
  const udp = part(key, whole, new Set([b.id])).wishes.flatMap(({ state }) => state.ipvsDests);
  assert.ok(!udp.some(({ service: of, address }) => 'proto' in of && of.proto === 'udp' && address === '10.9.0.12'));
});

test('affinity ends as it began: in place', () => {
  const key = serviceKey(app.id, web.id);
  const sticky = view([a, b], [app], [w1, w2, client], [{ ...web, affinity: 300 }]);
  for (const [from, to, persistent] of [
    [whole, sticky, 300],
    [sticky, whole, 0],
  ] as const) {
    const ops = diff(part(key, to), part(key, from)).map(({ op }) => op);
    assert.ok(ops.length === 8 && ops.every((op) => op.op === 'ipvs.set' && op.service.persistent === persistent));
  }
});

test('a change of one backend is one change of the kernel’s', () => {
  const key = serviceKey(app.id, web.id);
  const draining = view([a, b], [app], [{ ...w1, state: 'draining' }, w2, client], [web]);
  const steps = order(diff(part(key, draining), part(key)));
  assert.deepEqual(new Set(steps.map(({ op }) => op.op)), new Set(['ipvs.dest.set']));
  assert.equal(steps.length, 8, 'two families, two ports, each with its twin');
  const more = endpoint('w3', app, a, 14, { backend: backend(web) });
  const grown = view([a, b], [app], [w1, w2, client, more], [web]);
  const marks = order(diff(part(hairpinKey(app.id), grown), part(hairpinKey(app.id))));
  assert.deepEqual(
    marks.map(({ op }) => (op.op === 'nft.element.set' ? [op.set, op.elements] : op.op)),
    [
      ['twins4', ['10.9.0.14 . 10.64.0.1 . tcp . 80 : 0x80010050', '10.9.0.14 . 10.64.0.1 . udp . 53 : 0xc0010035']],
      [
        'twins6',
        ['fd09::e . fd00:0:0:8000::1 . tcp . 80 : 0x80010050', 'fd09::e . fd00:0:0:8000::1 . udp . 53 : 0xc0010035'],
      ],
    ],
  );
});

test('what a change concerns, and in which order', () => {
  const own = `${app.id}/endpoint/${w1.id}`;
  const balancing = `${app.id}/service/${web.id}`;
  const hairpin = `${app.id}/hairpin`;
  assert.deepEqual(keysOfEndpoint(a.id, undefined, w1), [own, hairpin, balancing]);
  assert.deepEqual(keysOfEndpoint(a.id, w1, undefined), [balancing, hairpin, own]);
  assert.deepEqual(keysOfEndpoint(b.id, undefined, w1), [own, balancing]);
  assert.deepEqual(keysOfEndpoint(a.id, undefined, client), [`${app.id}/endpoint/${client.id}`]);
  assert.deepEqual(keysOfEndpoint(a.id, w1, { ...w1, backend: null }), [own, hairpin, balancing]);
  assert.deepEqual(keysOfService(a.id, web.id, followed()), [hairpin, own, balancing]);
  const without = view([a, b], [app], [w1, w2, client], []);
  assert.deepEqual(keysOfService(a.id, web.id, followed(without)), [balancing, hairpin, own]);
});

test('no two ports of a network’s virtual IPs share a mark', () => {
  const seen = new Set<number>();
  for (const vip of ['10.64.0.1', '10.64.3.254', '10.64.0.2'] as Ip[])
    for (const port of [1, 80, 65_535])
      for (const proto of ['tcp', 'udp'] as const)
        for (const twin of ['own', 'here'] as const) {
          const mark = twinMark(twin, { vip, pool: '10.64.0.0/22' as never, port: { port, target: 1, proto } });
          assert.ok(mark > 0x7fff_ffff && mark <= 0xffff_ffff && !seen.has(mark));
          seen.add(mark);
        }
});

const publish: Publish[] = [
  { port: 8080, vipPort: 80, proto: 'tcp' },
  { ip: '10.77.0.1' as never, port: 53, vipPort: 53, proto: 'udp' },
];
function published(fields: Partial<typeof web>) {
  const open = { ...web, publish, ...fields };
  const mode = open.publishMode;
  const net = { ...app, published: publish.map((each) => ({ ...each, service: web.id, mode })) };
  return { net, open };
}

test('published ports: the host leads to the service, its backends answer by the host the client came in', () => {
  const { net, open } = published({ publishFrom: ['192.0.2.0/24', '2001:db8::1/128'] as never });
  const world = view([a, b], [net], [w1, w2, client], [open]);
  golden('plan/published-node', render(order(diff(nodeScope(world, a.id), none))));
  const before = view([a, b], [app], [w1, w2, client], [web]);
  const change = diff(networkScope(world, a, followed(world)), networkScope(before, a, followed(before)));
  golden('plan/published-network', render(order(change)));
  // Every node has the network, though nothing is attached to it there.
  const c = node('c', 3);
  const elsewhere = view([a, b, c], [net], [w1, w2], [open]);
  assert.ok(networkParts(elsewhere, c, followed(elsewhere)).has(net.id));
});

test('a service whose hosts lead to their own backends is on hosts that have one', () => {
  const { net, open } = published({ publishMode: 'host' });
  const c = node('c', 3);
  const world = view([a, b, c], [net], [w1, w2, client], [open]);
  const text = (self: typeof a) => render(order(diff(nodeScope(world, self.id), none)));
  assert.match(text(a), /dport 8080 dnat ip to 10\.64\.0\.1:80/);
  assert.doesNotMatch(text(c), /dnat/);
  assert.equal(networkParts(world, c, followed(world)).size, 0);
  const near = twinMark('here', {
    vip: web.vips[0] as never,
    pool: '10.64.0.0/22' as never,
    port: web.ports[0] as never,
  });
  const local = part(serviceKey(net.id, web.id), world).wishes.flatMap(({ state }) => state.ipvsDests);
  const reached = local.filter(({ service: key }) => 'fwmark' in key && key.fwmark === near && key.family === 4);
  assert.deepEqual(
    reached.map(({ address, method }) => [address, method]),
    [['10.9.0.11', 'route']],
  );
  const marks = render(order(diff(part(hairpinKey(net.id), world), none)));
  assert.match(marks, new RegExp(`iifname "up0" ip daddr 10.64.0.1 tcp dport 80 meta mark set 0x${near.toString(16)}`));
});
