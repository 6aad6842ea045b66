/**
 * What lies under the overlay: IPv6 instead of IPv4, and an MTU that changes while containers run.
 *
 *   host a ──┐  its own redis   a1 ──┐
 *            │ fd77::/64             ├── "app"
 *   host b ──┘                  b1 ──┘
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { EndpointJson } from '../../src/control/present.ts';
import { Host } from '../support/cluster.ts';
import { waitFor } from '../support/wait.ts';
import { Lab } from './lab.ts';

let lab: Lab;
let [a, b]: Host[] = [];
const endpoints: EndpointJson[] = [];
const hosts = (): [Host, Host] => [a as Host, b as Host];

before(async () => {
  lab = await Lab.start({ guests: 2 });
  [a, b] = lab.all.map((guest) => new Host(guest));
  const [first, second] = hosts();
  await first.init('--advertise fd77::1');
  const [, url = ''] = /^store: (\S+)$/m.exec(await first.guest.ok('cat /etc/warren/config.yaml')) ?? [];
  assert.match(url, /@\[fd77::1\]:7651$/);
  await first.startAgent('--resync 0');
  const { token } = await first.json<{ token: string }>('token worker');
  await second.guest.write('/tmp/token', token, '600');
  const wrong = await second.warren('join @ [fd77::1]:7650 --token-file /tmp/token --advertise 10.77.0.2');
  assert.equal(wrong.code, 2);
  assert.match(wrong.stderr, /runs over IPv6.*fd77::2/);
  await second.guest.ok('warren join - fd77::1 </tmp/token');
  await second.startAgent('--resync 0');
  await first.json('network create app --subnet 10.9.0.0/16 --subnet fd09::/64');
  for (const host of hosts()) endpoints.push(await host.attach('app', `${host.name}1`));
});
after(() => lab?.stop());

async function pings(size = 56): Promise<void> {
  const [, b1] = endpoints;
  for (const [i, address] of (b1?.addresses ?? []).entries()) {
    const fitting = size - (i === 0 ? 28 : 48);
    const ping = await hosts()[0].inside('a1', `ping -n -c1 -W2 -M do -s ${fitting} ${address}`);
    assert.equal(ping.code, 0, `${address} with ${size} bytes: ${ping.stdout}${ping.stderr}`);
  }
}

test('over IPv6: both families inside, ESP outside', async () => {
  const file = join(lab.share, 'six.pcap');
  await lab.capture(file);
  assert.deepEqual(
    endpoints.map(({ mtu, vtep }) => [mtu, vtep]),
    [
      [1396, 'fd77::1'],
      [1396, 'fd77::2'],
    ],
  );
  await pings(1396);
  await lab.net('pcap off');
  const read = (filter: string) => execFileSync('tcpdump', ['-nr', file, filter], { encoding: 'utf8', stdio: 'pipe' });
  assert.match(read('ip6 and esp'), /fd77::1 > fd77::2: ESP\(spi=/);
  assert.equal(read('udp port 4789 or udp port 4790 or (ip and esp)'), '');
});

test('an underlay whose MTU falls and rises: endpoints follow, nobody is dropped', async () => {
  const [first, second] = hosts();
  const inside = async (host: Host) =>
    (await host.guest.json<{ mtu: number; ifindex: number }[]>(`ip -n ${host.name}1 -j link show eth0`))[0];
  const before = await Promise.all(hosts().map(inside));
  const ping = second.guest.spawn(`exec ip netns exec b1 ping -n -i 0.02 ${endpoints[0]?.addresses[0]}`);
  for (const [underlay, expected] of [
    [1400, 1296],
    [1500, 1396],
  ] as const) {
    await second.guest.ok(`ip link set eth0 mtu ${underlay}`);
    await waitFor(async () => (await Promise.all(hosts().map(inside))).every((link) => link?.mtu === expected), {
      what: `both endpoints to have MTU ${expected}`,
      timeout: 4000,
    });
    const listed = await first.json<EndpointJson[]>('endpoint ls');
    assert.deepEqual(
      listed.map(({ mtu }) => mtu),
      [expected, expected],
    );
    await waitFor(() => pings(expected).then(() => true), { what: 'full packets to pass' });
  }
  ping.kill('SIGINT');
  const { stdout } = await ping.done;
  const [, sent, received] = /(\d+) packets transmitted, (\d+) received/.exec(stdout) ?? [];
  assert.ok(Number(sent) > 20 && Number(sent) - Number(received) <= 1, stdout.slice(-300)); // one may be on its way
  assert.deepEqual(
    (await Promise.all(hosts().map(inside))).map((link) => link?.ifindex),
    before.map((link) => link?.ifindex),
  );
});
