/**
 * Hosts whose address changes, as DHCP does it: the old one goes, and another comes.
 *
 *   a  store and manager: its address is in everybody's configuration
 *   b  worker     c  manager, joined without a word of addresses
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { EndpointJson, NodeJson } from '../../src/control/present.ts';
import { Cluster, type Host, type Status } from '../support/cluster.ts';
import { soon, waitFor } from '../support/wait.ts';

let cluster: Cluster;
let x: EndpointJson;
let y: EndpointJson;
before(async () => {
  cluster = await Cluster.joined();
  await cluster.a.json('network create app --subnet 10.9.0.0/16');
  x = await cluster.b.attach('app', 'x');
  y = await cluster.c.attach('app', 'y');
});
after(() => cluster?.stop());

const moves = (host: Host, from: string, to: string) =>
  host.guest.ok(`ip addr del ${from}/24 dev eth0; ip addr add ${to}/24 dev eth0`);
const reaches = async (host: Host, netns: string, { addresses }: EndpointJson): Promise<boolean> =>
  (await host.inside(netns, `ping -n -c1 -W1 ${addresses[0]}`)).code === 0;
const addressOf = async (asked: Host, name: string) =>
  (await asked.ask<NodeJson[]>('node.list')).result?.find((node) => node.name === name)?.address;

test('all follow it, within seconds, and nothing of the old address is left', async () => {
  const { a, b, c } = cluster;
  assert.ok(await reaches(b, 'x', y), 'before');
  const began = performance.now();
  await moves(c, '10.77.0.3', '10.77.0.33');
  await waitFor(() => reaches(b, 'x', y), { what: 'the endpoint on the host that moved', timeout: 20_000 });
  const took = performance.now() - began;
  console.log(`reached again ${Math.round(took)} ms after the address changed`);
  assert.ok(took < soon(5000), `${took} ms`); // longer where connections from the old address are waited for
  assert.ok(await reaches(c, 'y', x), 'and back');
  for (const host of cluster.hosts) assert.equal(await addressOf(host, 'c'), '10.77.0.33', host.name);
  await waitFor(
    async () => !/10\.77\.0\.3\b/.test(await b.guest.ok('ip xfrm state; ip xfrm policy; nft list ruleset')),
    {
      what: 'b to forget the old address',
    },
  );
  for (const what of ['ip xfrm state', 'ip xfrm policy'])
    assert.doesNotMatch(await c.guest.ok(what), /10\.77\.0\.3\b/, `c: ${what}`);
  assert.match(await c.guest.ok('cat /etc/warren/config.yaml'), /^advertise: 10\.77\.0\.33$/m);
  // Its certificate, and the address at which it lets others in.
  await waitFor(
    async () => {
      const said = await a.guest.run(
        'openssl s_client -connect 10.77.0.33:7650 </dev/null 2>/dev/null | openssl x509 -noout -ext subjectAltName',
      );
      return said.stdout.includes('10.77.0.33');
    },
    { what: 'the manager at its new address' },
  );
});

test('also while its agent is down, and while the store cannot be reached', async () => {
  const { b, c } = cluster;
  await c.killAgent();
  await moves(c, '10.77.0.33', '10.77.0.34');
  await c.startAgent();
  await waitFor(() => reaches(b, 'x', y), { what: 'the endpoint', timeout: 20_000 });
  await cluster.lab.net('set a.0 up 0');
  await moves(c, '10.77.0.34', '10.77.0.35');
  await waitFor(async () => (await c.ask<Status>('status')).result?.store.connected === false, {
    what: 'c to miss the store',
    timeout: 20_000,
  });
  await cluster.lab.net('set a.0 up 1');
  await waitFor(() => reaches(b, 'x', y), { what: 'the endpoint', timeout: 20_000 });
  assert.equal(await addressOf(b, 'c'), '10.77.0.35');
});

test('one that is named itself is not exchanged: status says so, and it comes back', async () => {
  const { a, b } = cluster;
  await a.guest.ok('ip addr del 10.77.0.1/24 dev eth0; ip addr add 10.77.0.11/24 dev eth0');
  const warned = () =>
    waitFor(async () => (await a.ask<Status>('status')).result?.warnings.find((text) => text.includes('10.77.0.1 ')), {
      what: 'a warning',
    });
  assert.match(await warned(), /not an address of this host/);
  await a.guest.ok('ip addr del 10.77.0.11/24 dev eth0; ip addr add 10.77.0.1/24 dev eth0');
  await waitFor(async () => (await a.ask<Status>('status')).result?.warnings.length === 0, { what: 'no warning' });
  await waitFor(async () => (await b.ask<Status>('status')).result?.store.connected, { what: 'b', timeout: 20_000 });
});
