/**
 * Two networks with the same subnet and the same addresses, at the same time; a third with no way out.
 *
 *   host a ──┐   red1 blue1 lan1
 *   host b ──┼── net0   red2 blue2 blue3 lan2
 *   host x ──┘   not in the cluster: the outside world, with a web server that says who asked
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { EndpointJson } from '../../src/control/present.ts';
import { Cluster } from '../support/cluster.ts';
import { waitFor } from '../support/wait.ts';

const server = `
import http.server, socketserver, socket
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(self.client_address[0].replace('::ffff:', '').encode())
    def log_message(self, *a): pass
class S(socketserver.ThreadingMixIn, http.server.HTTPServer):
    address_family = socket.AF_INET6
S(('::', 80), H).serve_forever()
`;

let cluster: Cluster;
const at = new Map<string, EndpointJson>();
before(async () => {
  cluster = await Cluster.boot();
  const { a, b, c } = cluster;
  await c.guest.write('/tmp/server.py', server);
  c.guest.spawn('exec python3 /tmp/server.py');
  await waitFor(() => c.guest.ok('ss -Hltn sport = :80').then((text) => text !== ''), { what: 'the web server' });
  for (const host of [a, b]) {
    await host.init(`--store ${Cluster.store} --advertise eth0`);
    await host.startAgent();
  }
  const subnets = '--subnet 10.9.0.0/24 --subnet fd09::/64';
  await cluster.network(`red ${subnets}`);
  assert.equal((await a.warren(`network create blue ${subnets} --encrypt=false`)).code, 4);
  await cluster.network(`blue ${subnets} --allow-overlap`);
  await cluster.network('lan --internal');
  for (const [host, network, netns] of [
    [a, 'red', 'red1'],
    [a, 'blue', 'blue1'],
    [a, 'lan', 'lan1'],
    [b, 'red', 'red2'],
    [b, 'blue', 'blue2'],
    [b, 'blue', 'blue3'],
    [b, 'lan', 'lan2'],
  ] as const) {
    at.set(netns, await host.attach(network, netns));
  }
});
after(() => cluster?.stop());

test('same addresses, different networks', () => {
  assert.deepEqual(at.get('red1')?.addresses, at.get('blue1')?.addresses);
  assert.deepEqual(at.get('red2')?.addresses, at.get('blue2')?.addresses);
});

test('both carry traffic at the same time, and only their own', async () => {
  const { a } = cluster;
  for (const address of at.get('red2')?.addresses ?? []) {
    const pings = await Promise.all(
      ['red1', 'blue1'].map((netns) => a.inside(netns, `ping -n -q -c 20 -i 0.05 -W2 ${address}`)),
    );
    for (const { stdout } of pings) assert.match(stdout, / 0% packet loss/);
  }
  for (const address of at.get('blue3')?.addresses ?? []) {
    assert.equal((await a.inside('blue1', `ping -n -c1 -W2 ${address}`)).code, 0, 'blue reaches blue3');
    assert.notEqual((await a.inside('red1', `ping -n -c1 -W1 ${address}`)).code, 0, 'red has no such address');
  }
});

test('both go out at the same time, from the same address and port, and are seen as their host', async () => {
  const { a, c } = cluster;
  for (const [family, seen] of [
    [4, '10.77.0.1'],
    [6, 'fd77::1'],
  ] as const) {
    const target = family === 4 ? `http://${c.guest.address(4)}/` : `http://[${c.guest.address(6)}]/`;
    const asked = await Promise.all(
      ['red1', 'blue1'].map((netns) => a.inside(netns, `curl -sS -m 5 --local-port 40000 ${target}`)),
    );
    for (const { stdout, stderr } of asked) assert.equal(stdout, seen, stderr);
  }
});

test('an internal network talks inside and has no way out', async () => {
  const { a, c } = cluster;
  for (const address of at.get('lan2')?.addresses ?? [])
    assert.equal((await a.inside('lan1', `ping -n -c1 -W2 ${address}`)).code, 0);
  assert.notEqual((await a.inside('lan1', `ping -n -c1 -W1 ${c.guest.address(4)}`)).code, 0);
  assert.equal((await a.guest.ok('ip -n lan1 route show default')).trim(), '');
});

test('no network reaches another through the host', async () => {
  const { a } = cluster;
  const [blue] = await a.guest.json<{ addr_info: { local: string }[] }[]>('ip -n warren-1048577 -j -4 addr show up0');
  const transit = blue?.addr_info[0]?.local;
  assert.match(transit ?? '', /^169\.254\./);
  assert.notEqual((await a.inside('red1', `ping -n -c1 -W1 ${transit}`)).code, 0, 'red must not reach blue’s uplink');
});
