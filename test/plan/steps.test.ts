import assert from 'node:assert/strict';
import { test } from 'node:test';
import { endpointScope } from '../../src/plan/desired/endpoint.ts';
import { networkScope } from '../../src/plan/desired/network.ts';
import { nodeScope } from '../../src/plan/desired/node.ts';
import { diff } from '../../src/plan/diff.ts';
import { order } from '../../src/plan/order.ts';
import type { Scope } from '../../src/plan/scope.ts';
import { golden } from '../support/golden.ts';
import { render } from '../support/render.ts';
import { endpoint, network, node, view } from '../support/world.ts';

const none: Scope = { namespaces: [], wishes: [] };
const [a, b] = [node('a', 1), node('b', 2)];
const app = network('app', { members: [a.id, b.id] });
const here = endpoint('here', app, a, 11);
const there = endpoint('there', app, b, 12);
const whole = view([a, b], [app], [here, there]);
const followed = (of = whole) => of.followed.get(app.id) ?? assert.fail();

test('first endpoint of a network on a node', () => {
  golden('plan/network-first', render(order(diff(networkScope(whole, a, followed()), none))));
});

test('the host itself, with a network that may go out', () => {
  const want = nodeScope(whole, a.id);
  golden('plan/node', render(order(diff(want, none))));
  assert.deepEqual(nodeScope(view([a], [{ ...app, internal: true }], [here]), a.id).wishes[0]?.state.sysctls, []);
});

test('an endpoint comes and goes, here and elsewhere: constant work', () => {
  const scopes = [here, there].map((one) => endpointScope(whole, a.id, app, one));
  const text = scopes.flatMap((scope) => [...order(diff(scope, none)), ...order(diff(none, scope))]);
  golden('plan/endpoint', render(text));
});

test('an internal network has no way out', () => {
  const internal = { ...app, internal: true };
  const text = render(
    order(diff(networkScope(view([a, b], [internal], [here]), a, { ...followed(), network: internal }), none)),
  );
  assert.doesNotMatch(text, /up0|masquerade|0\.0\.0\.0\/0|::\/0/);
});

test('the MTU follows the smallest member', () => {
  const smaller = view([a, { ...b, underlayMtu: 1400 }], [app], [here, there]);
  const steps = order(diff(networkScope(smaller, a, followed(smaller)), networkScope(whole, a, followed())));
  golden('plan/mtu', render(steps));
});

test('an endpoint that moved to another VTEP is replaced, not added', () => {
  const moved = view([a, { ...b, underlay: '10.77.0.9' as typeof b.underlay }], [app], [here, there]);
  const steps = order(diff(networkScope(moved, a, followed(moved)), networkScope(whole, a, followed())));
  assert.equal(
    render(steps),
    `[warren-1048576] bridge fdb replace ${there.mac} dev vx0 self dst 10.77.0.9 extern_learn\n`,
  );
});
