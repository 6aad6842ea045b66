/**
 * Containers come, run, die and come back; the kernel's owner repairs what others break.
 *
 *   host a ──┐   run, --pid, endpoint exec
 *   host b ──┴── net0   b1 "app"
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { EndpointJson, NodeJson } from '../../src/control/present.ts';
import { Cluster } from '../support/cluster.ts';
import { waitFor } from '../support/wait.ts';

let cluster: Cluster;
let b1: EndpointJson;
before(async () => {
  cluster = await Cluster.start({ guests: 2 });
  // What is repaired here is repaired because the kernel said so.
  await cluster.b.stopAgent();
  await cluster.b.startAgent('--resync 0');
  await cluster.network('app --subnet 10.9.0.0/16 --subnet fd09::/64');
  b1 = await cluster.b.attach('app', 'b1');
});
after(() => cluster?.stop());

const names = async (): Promise<string[]> =>
  (await cluster.b.json<EndpointJson[]>('endpoint ls --network app')).map(({ name }) => name);

/** Out of the list, and out of b's FDB, within the two seconds promised. */
async function isGone(endpoint: EndpointJson): Promise<void> {
  await waitFor(
    async () => {
      const fdb = await cluster.b.guest.ok('bridge -n warren-1048576 fdb show');
      return !fdb.includes(endpoint.mac) && !(await names()).includes(endpoint.name);
    },
    { what: `${endpoint.name} to be gone`, timeout: 4000 },
  );
}

describe('run', () => {
  test('the command is on the network, and its status is ours', async () => {
    const ping = await cluster.a.warren(
      `run app --name job -e GREETING=hello -- sh -c 'echo $GREETING; ping -n -c1 -W2 ${b1.addresses[0]} >/dev/null && ping -n -c1 -W2 ${b1.addresses[1]} >/dev/null; exit 42'`,
    );
    assert.equal(ping.stdout, 'hello\n', ping.stderr);
    assert.equal(ping.code, 42);
    assert.deepEqual(await names(), ['b1']);
  });

  const endings: readonly (readonly [argv: string, code: number])[] = [
    ['run app -- true', 0],
    ['run app -- /nonexistent', 127],
    ['run app -- /etc/passwd', 126],
    ['run nosuch -- true', 125],
    ["run app -- sh -c 'kill -TERM $$'", 143],
  ];
  for (const [argv, code] of endings) {
    test(`${argv}: exit ${code}`, async () => {
      const result = await cluster.a.warren(argv);
      assert.equal(result.code, code, result.stderr);
    });
  }

  test('signals reach the command', async () => {
    const job = cluster.a.guest.spawn(
      `exec warren run app --name sleeper -- sh -c 'trap "exit 7" TERM; while :; do sleep 0.1; done'`,
    );
    await waitFor(async () => (await names()).includes('sleeper'), { what: 'the sleeper' });
    job.kill('SIGTERM');
    assert.equal((await job.done).code, 7);
    assert.deepEqual(await names(), ['b1']);
  });

  test('kill -9 of warren run: the command dies with it, and it is gone within seconds', async () => {
    const job = cluster.a.guest.spawn('exec warren run app --name victim -- sleep 1000');
    const [victim] = await waitFor(
      async () => {
        const found = (await cluster.a.json<EndpointJson[]>('endpoint ls')).filter(
          ({ name, state }) => name === 'victim' && state === 'ready',
        );
        return found.length > 0 && found;
      },
      { what: 'the victim' },
    );
    job.kill('SIGKILL');
    await isGone(victim as EndpointJson);
    assert.equal((await cluster.a.guest.run(['pgrep', '-x', '-f', 'sleep 1000'])).code, 1);
  });
});

describe('namespaces', () => {
  test('by process id', async () => {
    const job = cluster.a.guest.spawn('exec unshare -n sleep 1000');
    const pid = Number(
      await waitFor(() => cluster.a.guest.ok('pgrep -f "^sleep 1000" || true'), { what: 'the process' }),
    );
    const endpoint = await cluster.a.json<EndpointJson>(`attach app --pid ${pid}`);
    assert.match(endpoint.name, /^ep-[a-z2-7]{8}$/);
    // The others learn of it by the store; the first answer may come before that.
    const inside = await cluster.a.guest.run(`nsenter -t ${pid} -n ping -n -c3 -i0.2 -W2 ${b1.addresses[0]}`);
    assert.equal(inside.code, 0);
    job.kill('SIGKILL');
    await isGone(endpoint);
  });

  test('a deleted namespace is gone, and one re-created under its name is another', async () => {
    const first = await cluster.a.attach('app', 'phoenix');
    await cluster.a.guest.ok('ip netns del phoenix');
    await isGone(first);
    const second = await cluster.a.attach('app', 'phoenix');
    assert.notEqual(second.id, first.id);
    assert.notDeepEqual(second.addresses, first.addresses, 'an address cools down before it is given out again');
    assert.equal((await cluster.a.inside('phoenix', `ping -n -c1 -W2 ${b1.addresses[0]}`)).code, 0);
    await cluster.a.json('detach phoenix');
  });

  test('two networks in one namespace, a name of its own, static addresses', async () => {
    await cluster.network('second --subnet 10.10.0.0/24');
    await cluster.a.attach(
      'app',
      'multi',
      '--name web --ip 10.9.7.7 --ip fd09::7:7 --mac 0a:00:00:00:07:07 --label tier=front',
    );
    const other = await cluster.a.json<EndpointJson>('attach second --netns multi --no-default-route');
    assert.equal(other.ifname, 'eth1');
    // Each network's own pass sees the other's routes in there.
    const routes = () => cluster.a.guest.ok('ip -n multi route; ip -n multi -6 route show default');
    const before = await routes();
    assert.match(before, /^default via 10\.9\.0\.1 dev eth0[\s\S]*^default via fd09::1 dev eth0/m);
    await cluster.a.json('sync --once');
    assert.equal(await routes(), before);
    const web = await cluster.a.json<EndpointJson>('endpoint inspect app/web');
    assert.deepEqual(
      [web.addresses, web.mac, web.labels],
      [['10.9.7.7', 'fd09::7:7'], '0a:00:00:00:07:07', { tier: 'front' }],
    );
    assert.equal(
      (await cluster.a.warren('endpoint exec app/web -- ip -o -4 addr show dev eth0')).stdout.includes('10.9.7.7/16'),
      true,
    );
    assert.equal((await cluster.b.warren('endpoint exec app/web -- true')).code, 3);
    assert.deepEqual((await cluster.a.json<{ removed: string[] }>('detach app --netns multi')).removed, [web.id]);
    await cluster.a.json('detach second/multi');
    await cluster.a.json('network rm second');
  });
});

describe('what others break in our namespaces is repaired', () => {
  const ns = 'warren-1048576';
  const port = `$(ip -n ${ns} -o link show master br0 | grep -o 'w[a-z2-7]*@' | tr -d @ | head -1)`;
  const harms: readonly (readonly [what: string, harm: string])[] = [
    ['the vxlan device', `ip -n ${ns} link del vx0`],
    ['the bridge', `ip -n ${ns} link del br0`],
    ['the uplink', `ip -n ${ns} link del up0`],
    ['a port of the bridge', `ip -n ${ns} link set ${port} nomaster`],
    ['the gateway’s address', `ip -n ${ns} addr flush dev br0`],
    [
      'every FDB entry of vx0',
      `bridge -n ${ns} fdb flush dev vx0 2>/dev/null || for m in $(bridge -n ${ns} fdb show dev vx0 | awk '{print $1}'); do bridge -n ${ns} fdb del $m dev vx0 self 2>/dev/null; bridge -n ${ns} fdb del $m dev vx0 master 2>/dev/null; done; true`,
    ],
    ['every neighbour of vx0', `ip -n ${ns} neigh flush dev vx0 nud all; ip -n ${ns} -6 neigh flush dev vx0 nud all`],
    ['the nft table', `ip netns exec ${ns} nft flush ruleset`],
    ['the MTU', `ip -n ${ns} link set vx0 mtu 1300; ip -n ${ns} link set br0 mtu 1300`],
    ['a link that is down', `ip -n ${ns} link set br0 down`],
    ['the default route', `ip -n ${ns} route del default`],
    ['a port that learns', `bridge -n ${ns} link set dev ${port} learning on`],
    ['the host’s nft table', 'nft delete table inet warren'],
    ['addresses of the host’s end of the uplink', 'ip addr flush dev wup1048576'],
    ['the host’s end of the uplink, down', 'ip link set wup1048576 down'],
    ['a container’s addresses', 'ip -n b1 addr flush dev eth0'],
    [
      'a container’s IPv6 address',
      `ip -n b1 addr del $(ip -n b1 -o -6 addr show dev eth0 scope global | awk '{print $4}') dev eth0`,
    ],
    ['a container’s default route', 'ip -n b1 route del default'],
    ['a container’s MTU', 'ip -n b1 link set eth0 mtu 1280'],
    ['a container’s MAC', 'ip -n b1 link set eth0 address 02:00:00:00:00:01'],
    ['a container’s interface, down', 'ip -n b1 link set eth0 down'],
    ['a container’s interface', 'ip -n b1 link del eth0'],
  ];
  let before_: string;
  const shape = async (): Promise<string> => {
    const lines = await cluster.b.guest.ok(`
      ip -n ${ns} -o link | sed 's/^[0-9]*: //; s/@[^:]*//; s/ qdisc.*master/ master/; s/state.*//' | sort
      ip -n ${ns} -o addr | sed 's/^[0-9]*: //; s/valid_lft.*//' | sort; ip -n ${ns} route; ip -n ${ns} -6 route | grep -v '^fe80\\|^anycast\\|^multicast' | sort
      bridge -n ${ns} fdb show | grep extern_learn | sed 's/link-netnsid.*//' | sort; ip -n ${ns} neigh show nud permanent | sort
      ip netns exec ${ns} nft list ruleset; nft list ruleset; bridge -n ${ns} -d link show | grep -o 'w[a-z2-7]*@\\|learning o[nf]*' | sort
      ip -o addr show dev wup1048576 | sed 's/^[0-9]*: //; s/valid_lft.*//' | sort; ip -o link show wup1048576 | grep -o 'mtu.*UP'
      ip -n b1 -o link show eth0 | grep -o 'mtu.*'; ip -n b1 -o addr show dev eth0 | sed 's/^[0-9]*: //; s/valid_lft.*//' | grep -v fe80 | sort
      ip -n b1 route; ip -n b1 -6 route | grep -v '^fe80\\|^anycast\\|^multicast' | sort`);
    return lines;
  };
  /** Passes of b's agent that found something to do. */
  const repairs = async (): Promise<number> =>
    Number(await cluster.b.guest.ok('grep -c reconciled /lab/b.agent || true'));
  before(async () => {
    await cluster.a.attach('app', 'a1');
    await waitFor(
      async () => (await cluster.b.guest.ok(`bridge -n ${ns} fdb show dev vx0`)).includes('dst 10.77.0.1'),
      { what: 'a1 in b’s FDB' },
    );
    before_ = await shape();
  });
  for (const [what, harm] of harms) {
    test(what, async () => {
      const before = await repairs();
      await cluster.b.guest.ok(harm);
      await waitFor(async () => (await repairs()) > before, { what: 'the agent to see it', timeout: 4000 });
      await waitFor(async () => assert.equal(await shape(), before_) === undefined, {
        what: `${what} to be back`,
        timeout: 4000,
      });
      assert.equal((await cluster.b.inside('b1', 'ping -n -c3 -i0.3 -W2 10.9.0.1')).code, 0);
    });
  }
  test('and the network works', async () => {
    const [a1] = (await cluster.a.json<EndpointJson[]>('endpoint ls')).filter(({ name }) => name === 'a1');
    for (const address of a1?.addresses ?? [])
      assert.equal((await cluster.b.inside('b1', `ping -n -c1 -W2 ${address}`)).code, 0);
  });
});

/** What the kernel of host a knows of the others. */
const tables = () =>
  cluster.a.guest.ok(
    `ip netns exec warren-1048576 sh -c 'bridge fdb | sort; ip neigh show nud permanent | sort; ip -o link'`,
  );
const nodeB = async () => (await cluster.a.ask<NodeJson[]>('node.list')).result?.find(({ name }) => name === 'b');
const statusOfB = async () => (await nodeB())?.status;

test('a host whose agent is dead is stale, which changes nothing in any kernel', async () => {
  const { a, b } = cluster;
  assert.equal(await statusOfB(), 'up');
  const before = await tables();
  await b.killAgent();
  await waitFor(async () => (await statusOfB()) === 'stale', { what: 'b to be stale', timeout: 12_000 });
  assert.equal((await a.inside('a1', `ping -n -c3 -i0.2 -W2 ${b1.addresses[0]}`)).code, 0);
  assert.equal(await tables(), before);
  await b.startAgent();
  assert.equal(await statusOfB(), 'up');
});

test('one that pauses for two seconds is not found dead; one that lost its power is, within five', async (t) => {
  const { b, lab } = cluster;
  const before = await tables();
  const seen = new Set<string | undefined>();
  const began = performance.now();
  await lab.net('set b.0 up 0');
  while (performance.now() - began < 2000) seen.add(await statusOfB());
  await lab.net('set b.0 up 1');
  await waitFor(async () => (await statusOfB()) === 'up', { what: 'b to be up' });
  assert.deepEqual(
    [...seen].filter((status) => status === 'down'),
    [],
  );
  const killed = performance.now();
  await b.guest.kill();
  await waitFor(async () => (await statusOfB()) === 'down', { what: 'b to be down', timeout: 5500 });
  t.diagnostic(`down after ${((performance.now() - killed) / 1000).toFixed(1)} s`);
  assert.equal(await tables(), before);
});
