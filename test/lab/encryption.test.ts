/**
 * Networks are encrypted unless told otherwise, and nothing of them is ever on the wire in clear.
 *
 *   host a ──┐            a1 ── warren-1048576 ──┐
 *   host b ──┼── net0     b1 ── warren-1048576 ──┼── "app", in ESP;  "open", in clear: the control of the capture
 *   host c ──┘            c1 ── warren-1048576 ──┘
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { EndpointJson, NetworkJson, NodeJson } from '../../src/control/present.ts';
import { Cluster, type Host } from '../support/cluster.ts';

describe('encrypted by default', () => {
  let cluster: Cluster;
  const ends = new Map<string, { host: Host; endpoint: EndpointJson }>();
  before(async () => {
    cluster = await Cluster.start();
  });
  after(() => cluster?.stop());

  test('the first ping after attach arrives, on all hosts, IPv4 and IPv6', async () => {
    const app = await cluster.a.json<NetworkJson>('network create app --subnet 10.9.0.0/16 --subnet fd09::/64');
    assert.deepEqual([app.encrypted, app.mtu], [true, 1416]);
    for (const host of cluster.hosts) {
      const netns = `${host.name}1`;
      const endpoint = await host.attach('app', netns);
      for (const { endpoint: other } of ends.values())
        for (const address of other.addresses) {
          const result = await host.inside(netns, `ping -n -c1 -W2 ${address}`);
          assert.equal(result.code, 0, `${netns} → ${address}\n${result.stdout}${result.stderr}`);
        }
      ends.set(netns, { host, endpoint });
    }
    const nodes = await cluster.b.json<NodeJson[]>('node ls');
    console.log(nodes.map(({ name, encryption }) => ({ name, ...encryption })));
    console.log(
      await cluster.a.guest.ok(
        'ip -s xfrm state | grep -v aead; ip xfrm policy; nft list ruleset; ethtool -k eth0 | head -3; cat /lab/a.agent',
      ),
    );
  });
});
