/**
 * The main job: namespaces on three hosts talk as if on one LAN.
 *
 *   host a ──┐            a1 a2 ── warren-1048576 ──┐
 *   host b ──┼── net0     b1 b2 ── warren-1048576 ──┼── "app"  10.9.0.0/16  fd09::/64
 *   host c ──┘            c1 c2 ── warren-1048576 ──┘
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { EndpointJson, NetworkJson, NodeJson } from '../../src/control/present.ts';
import { Cluster, type Host } from '../support/cluster.ts';
import { waitFor } from '../support/wait.ts';

for (const { brNetfilter, encrypted, mtu } of [
  { brNetfilter: false, encrypted: true, mtu: 1416 },
  { brNetfilter: true, encrypted: false, mtu: 1450 },
]) {
  describe(`${encrypted ? 'encrypted' : 'plain'}, br_netfilter ${brNetfilter ? 'on' : 'off'}`, () => {
    let cluster: Cluster;
    const attached: { host: Host; netns: string; endpoint: EndpointJson }[] = [];
    before(async () => {
      cluster = await Cluster.start({ brNetfilter });
    });
    after(() => cluster?.stop());

    test('three hosts know each other', async () => {
      const nodes = await cluster.b.json<NodeJson[]>('node ls');
      assert.deepEqual(
        nodes.map(({ name, address, status }) => [name, address, status]),
        [
          ['a', '10.77.0.1', 'up'],
          ['b', '10.77.0.2', 'up'],
          ['c', '10.77.0.3', 'up'],
        ],
      );
    });

    test('two namespaces on each host, reachable the moment attach returns', async () => {
      const app = await cluster.a.json<NetworkJson>(
        `network create app --subnet 10.9.0.0/16 --subnet fd09::/64 --encrypt=${encrypted}`,
      );
      assert.deepEqual(
        [app.subnets, app.gateway, app.mtu],
        [['10.9.0.0/16', 'fd09::/64'], ['10.9.0.1', 'fd09::1'], mtu],
      );
      for (const n of [1, 2]) {
        for (const host of cluster.hosts) {
          const netns = `${host.name}${n}`;
          const endpoint = await host.attach('app', netns);
          assert.equal(endpoint.state, 'ready');
          await host.guest.ok('nft list table inet warren'); // and may go out
          for (const other of attached) {
            for (const address of other.endpoint.addresses) {
              // The others learn of it by the store; one packet may be asked for again, a broken path may not pass.
              const result = await host.inside(netns, `ping -n -c1 -W2 ${address}`);
              assert.equal(result.code, 0, `${netns} → ${other.netns} (${address})\n${result.stdout}${result.stderr}`);
            }
          }
          attached.push({ host, netns, endpoint });
        }
      }
    });

    test('full mesh, IPv4 and IPv6', async () => {
      for (const from of attached) {
        const targets = attached.flatMap(({ endpoint }) => endpoint.addresses).join(' ');
        const result = await from.host.inside(
          from.netns,
          `sh -c 'for ip in ${targets}; do ping -n -c1 -W2 $ip >/dev/null || echo $ip; done'`,
        );
        assert.equal(result.stdout, '', `not reached from ${from.netns}`);
      }
    });

    test('what a container sees: one interface, gateway, no surprises', async () => {
      const [first] = attached;
      const { guest } = cluster.a;
      const [link] =
        await guest.json<{ mtu: number; address: string; operstate: string }[]>('ip -n a1 -j link show eth0');
      assert.deepEqual([link?.mtu, link?.address, link?.operstate], [mtu, first?.endpoint.mac, 'UP']);
      for (const gateway of ['10.9.0.1', 'fd09::1'])
        assert.equal((await cluster.a.inside('a1', `ping -n -c1 -W2 ${gateway}`)).code, 0, gateway);
      assert.match(await guest.ok('ip -n a1 route'), /^default via 10\.9\.0\.1 dev eth0/m);
      assert.match(await guest.ok('ip -n a1 -6 route'), /^default via fd09::1 dev eth0/m);
    });

    test('packets of exactly the MTU pass, one byte more does not', async () => {
      const b1 = attached.find(({ netns }) => netns === 'b1')?.endpoint.addresses ?? [];
      for (const [address, headers] of [
        [b1[0], 28],
        [b1[1], 48],
      ] as const) {
        const fits = await cluster.a.inside('a1', `ping -n -c1 -W2 -M do -s ${mtu - headers} ${address}`);
        assert.equal(fits.code, 0, fits.stdout + fits.stderr);
        const more = await cluster.a.inside('a1', `ping -n -c1 -W2 -M do -s ${mtu - headers + 1} ${address}`);
        assert.notEqual(more.code, 0);
      }
    });

    const form = encrypted ? 'ESP, nothing in clear' : 'VXLAN on the plain port, with our vni';
    test(`it travels as ${form}`, async () => {
      const file = join(cluster.lab.share, 'overlay.pcap');
      await cluster.lab.capture(file);
      const b1 = attached.find(({ netns }) => netns === 'b1')?.endpoint;
      assert.equal((await cluster.a.inside('a1', `ping -n -c3 -i0.2 -W2 ${b1?.addresses[0]}`)).code, 0);
      await cluster.lab.net('pcap off');
      const text = execFileSync('tcpdump', ['-nr', file, '-T', 'vxlan', 'esp or udp port 4789 or udp port 4790'], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore'],
      });
      if (encrypted) {
        assert.match(text, /10\.77\.0\.1 > 10\.77\.0\.2: ESP\(spi=0x[0-9a-f]{8},seq=0x/);
        assert.doesNotMatch(text, /VXLAN/);
        return;
      }
      assert.match(
        text,
        /10\.77\.0\.1\.\d+ > 10\.77\.0\.2\.4790: VXLAN, flags \[I\] \(0x08\), vni 1048576\n.*ICMP echo request/,
      );
      assert.ok(!/ARP/.test(text), 'ARP is answered locally');
    });

    test('TCP flows', async () => {
      const b1 = attached.find(({ netns }) => netns === 'b1')?.endpoint;
      const server = cluster.b.guest.spawn('ip netns exec b1 iperf3 -s -1');
      await waitFor(() => cluster.b.inside('b1', 'ss -Hltn sport = :5201').then(({ stdout }) => stdout !== ''), {
        what: 'iperf3',
      });
      const report = await cluster.a.guest.json<{ end: { sum_received: { bits_per_second: number } } }>(
        `ip netns exec a1 iperf3 -J -t 2 -c ${b1?.addresses[0]}`,
      );
      await server.done;
      assert.ok(report.end.sum_received.bits_per_second > 10e6, `${report.end.sum_received.bits_per_second} bit/s`);
    });

    test('an agent that restarts adopts what is there: same links, nothing to do, no packet lost', async () => {
      const links = () => cluster.b.guest.ok('ip -n warren-1048576 -o link | cut -d: -f1,2');
      const before = await links();
      const a1 = attached.find(({ netns }) => netns === 'a1')?.endpoint;
      const ping = cluster.b.guest.spawn(`ip netns exec b1 ping -n -q -i 0.01 -c 300 -W2 ${a1?.addresses[0]}`);
      await cluster.b.killAgent();
      await cluster.b.startAgent();
      const result = await ping.done;
      assert.match(result.stdout, / 0% packet loss/);
      assert.equal(await links(), before);
    });

    test('detach takes it out everywhere', async () => {
      const c2 = attached.find(({ netns }) => netns === 'c2')?.endpoint;
      const answer = await cluster.c.json<{ removed: string[] }>('detach c2');
      assert.deepEqual(answer.removed, [c2?.id]);
      // Cut off at once, deleted a moment later with whatever else leaves then.
      await waitFor(async () => (await cluster.c.guest.run('ip -n c2 link show eth0')).code === 1, {
        what: 'its interface to go',
        timeout: 2000,
      });
      await waitFor(
        async () => {
          const fdb = await cluster.a.guest.ok(
            'bridge -n warren-1048576 fdb show dev vx0; ip -n warren-1048576 neigh show dev vx0; ip -n warren-1048576 -6 neigh show dev vx0',
          );
          return !fdb.includes(c2?.mac ?? '?');
        },
        { what: 'c2 to leave a’s FDB', timeout: 2000 },
      );
      assert.equal((await cluster.c.warren('detach c2')).code, 3);
      assert.equal((await cluster.c.warren('detach c2 --if-exists')).code, 0);
    });

    test('the last endpoint takes the network off the host, removing the network takes it from the list', async () => {
      // From another host, which leaves it to c to notice.
      await cluster.a.json('detach c1');
      await waitFor(async () => !(await cluster.c.guest.ok('ip netns list')).includes('warren-'), {
        what: 'the network to leave c',
        timeout: 5000,
      });
      // The kernel ends a namespace in its own time; the next one of that network need not wait for it.
      await cluster.c.guest.ok('for i in 1 2 3 4 5; do warren attach app --netns c1 && warren detach c1 || exit; done');
      assert.ok(!(await cluster.c.guest.ok('ip netns list')).includes('warren-'));
      const busy = await cluster.a.warren('network rm app');
      assert.equal(busy.code, 4, busy.stderr);
      for (const { host, netns } of attached.filter(({ netns }) => !netns.startsWith('c')))
        await host.json(`detach ${netns}`);
      await cluster.a.json('network rm app');
      assert.deepEqual(await cluster.b.json<NetworkJson[]>('network ls'), []);
      for (const host of cluster.hosts) {
        assert.ok(!(await host.guest.ok('ip netns list')).includes('warren-'), host.name);
        assert.equal((await host.status()).endpoints, 0);
      }
    });
  });
}
