/**
 * Every wrong thing a person can do: a clear error with a hint, the contract's exit status, nothing half done.
 *
 *   host a ──┐   a1 on "app"
 *   host b ──┴── net0
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Cluster, type Host } from '../support/cluster.ts';
import { waitFor } from '../support/wait.ts';

let cluster: Cluster;
before(async () => {
  cluster = await Cluster.boot({ guests: 2 });
  for (const host of cluster.hosts) await host.init(`--store ${Cluster.store} --advertise eth0`);
  await cluster.a.startAgent();
  await cluster.network('app --subnet 10.9.0.0/16 --subnet fd09::/64');
  await cluster.network('tiny --subnet 10.10.0.0/29');
  await cluster.a.attach('app', 'a1');
  await cluster.a.guest.ok('ip netns add a2; ip -n a2 link add web type dummy');
});
after(() => cluster?.stop());

/** Fails with this status, code and words. */
async function refused(
  host: Host,
  argv: string,
  exit: number,
  code: string,
  says: RegExp,
  env: Record<string, string> = {},
): Promise<void> {
  const json = await host.guest.run(`warren ${argv} --json`, { env });
  assert.equal(json.code, exit, `${argv}: ${json.stdout}${json.stderr}`);
  const document = JSON.parse(json.stdout) as { error: { code: string; message: string; hint?: string }; exit: number };
  assert.equal(document.error.code, code, JSON.stringify(document));
  assert.equal(document.exit, exit);
  assert.match(`${document.error.message}; ${document.error.hint ?? ''}`, says);
}

const table: readonly (readonly [argv: string, exit: number, code: string, says: RegExp])[] = [
  ['network create x --mtu 1450', 2, 'invalid_input', /1416.*auto/],
  [
    'network create x --encrypt=false --subnet 10.9.128.0/17',
    4,
    'subnet_overlap',
    /network "x": subnet 10\.9\.128\.0\/17 overlaps network "app" \(10\.9\.0\.0\/16\).*--subnet/,
  ],
  ['network create x --encrypt=false --subnet 10.77.0.0/25', 4, 'subnet_overlap', /10\.77\.0\.0\/24/],
  ['network create x --encrypt=false --subnet 10.77.0.0/25 --allow-overlap', 4, 'subnet_overlap', /10\.77\.0\.0\/24/],
  ['network create x --encrypt=false --subnet 10.9.0.1/16', 2, 'invalid_input', /10\.9\.0\.1\/16/],
  ['network create x --encrypt=false --subnet banana', 2, 'invalid_input', /banana/],
  ['network create x --encrypt=false --mtu 9000', 2, 'invalid_input', /1450.*auto/],
  ['network create x --encrypt=false --mtu 12', 2, 'invalid_input', /mtu/i],
  ['network create x_y --encrypt=false', 2, 'invalid_input', /DNS label/],
  ['network create app --encrypt=false', 4, 'name_taken', /app/],
  ['network create app --encrypt=false --if-not-exists --subnet 10.8.0.0/16', 4, 'name_taken', /subnets/],
  ['network inspect nosuch', 3, 'network_not_found', /warren network ls/],
  ['network rm nosuch', 3, 'network_not_found', /nosuch/],
  ['network rm app', 4, 'network_in_use', /--force/],
  ['network create', 2, 'invalid_input', /./],
  ['network create x --encrypt=false --colour red', 2, 'invalid_input', /colour/],
  ['nonsense', 2, 'invalid_input', /./],
  ['attach nosuch --netns a2', 3, 'network_not_found', /nosuch/],
  ['attach app --netns nosuch', 3, 'netns_not_found', /ip netns add nosuch/],
  ['attach app --pid 999999', 3, 'pid_not_found', /999999/],
  ['attach app', 2, 'invalid_input', /--netns/],
  ['attach app --netns a1', 4, 'netns_attached', /a1/],
  ['attach app --netns a2 --name a1', 4, 'name_taken', /a1/],
  ['attach app --netns a2 --ifname web', 4, 'ifname_taken', /web/],
  ['attach app --netns a2 --ifname a/b', 2, 'invalid_input', /ifname/],
  ['attach app --netns a2 --ip 10.8.0.1', 2, 'invalid_input', /10\.8\.0\.1.*10\.9\.0\.0\/16/],
  ['attach app --netns a2 --ip 10.9.0.2', 4, 'address_taken', /a1/],
  ['attach app --netns a2 --mac 01:00:5e:00:00:01', 2, 'invalid_input', /MAC/],
  ['endpoint inspect nosuch', 3, 'endpoint_not_found', /warren endpoint ls/],
  ['node inspect nosuch', 3, 'node_not_found', /warren node ls/],
];

describe('what the agent refuses', () => {
  const state = () =>
    cluster.a.guest.ok(`
      redis-cli -h 10.77.0.1 --scan | sort; redis-cli -h 10.77.0.1 hget warren:{default}:meta rev
      ip netns list; ip -n a1 -o link; ip -n a2 -o link`);
  let untouched: string;
  before(async () => {
    untouched = await state();
  });

  for (const [argv, exit, code, says] of table) test(argv, () => refused(cluster.a, argv, exit, code, says));

  test('all of it left the store and the kernel as they were', async () => assert.equal(await state(), untouched));

  test('people get one line on stderr, and nothing on stdout', async () => {
    const result = await cluster.a.warren('network inspect nosuch');
    assert.deepEqual(
      [result.code, result.stdout, result.stderr],
      [3, '', 'error: network "nosuch" not found; see: warren network ls\n'],
    );
  });

  test('an exhausted subnet', async () => {
    for (let i = 1; i <= 5; i++) await cluster.a.attach('tiny', `t${i}`);
    await cluster.a.guest.ok('ip netns add t6');
    await refused(cluster.a, 'attach tiny --netns t6', 4, 'address_exhausted', /10\.10\.0\.0\/29/);
  });
});

describe('what init refuses', () => {
  test('again: fine with the same values, a conflict with others', async () => {
    const again = await cluster.a.json<{ cluster: { created: boolean } }>(
      `init --store ${Cluster.store} --advertise eth0`,
    );
    assert.equal(again.cluster.created, false);
    await refused(cluster.a, 'init --name other', 4, 'already_initialized', /warren leave/);
  });

  test('what no flag says it takes from the environment, then from the configuration file', async () => {
    const { guest } = cluster.b;
    const at = '--config /tmp/c/config.yaml';
    const file = ['cluster: filed', `store: ${Cluster.store}`, 'advertise: eth0', 'dataPort: 5100', 'name: filed'];
    const dirs = ['stateDir: /tmp/c/state', 'runDir: /tmp/c/run', 'verbose: true'];
    const write = (lines: readonly string[]) => guest.write('/tmp/c/config.yaml', `${lines.join('\n')}\n`);
    await guest.ok('mkdir -p /tmp/c');
    await write([...file, 'colour: red']);
    await refused(cluster.b, `init ${at}`, 2, 'invalid_input', /config\.yaml.*colour/);
    await write([...file, 'verbose: loud']);
    await refused(cluster.b, `init ${at}`, 2, 'invalid_input', /config\.yaml: verbose/);
    await write([...file, ...dirs]);
    const made = await guest.json<{ node: { name: string }; cluster: { name: string } }>([
      ...['env', 'WARREN_CLUSTER=named', 'WARREN_NAME=named', 'warren', 'init', '--name', 'flagged', '--json'],
      ...at.split(' '),
    ]);
    assert.deepEqual([made.node.name, made.cluster.name], ['flagged', 'named']);
    await refused(cluster.b, `init ${at} --data-port 5200`, 4, 'already_initialized', /5100/);
    guest.spawn(`exec warren agent ${at} >/lab/filed.agent 2>&1`);
    const named = async () => (await cluster.b.json<{ node: { name: string } }>(`status ${at}`)).node.name;
    assert.equal(await waitFor(named, { what: 'the agent' }), 'flagged');
    await guest.ok('test -S /tmp/c/run/agent.sock && grep -q "^verbose: true" /tmp/c/config.yaml');
    await guest.ok(`warren leave --force ${at}; ! ls /tmp/c`);
  });

  const elsewhere = '--config /tmp/w/config.yaml --state-dir /tmp/w/state --run-dir /tmp/w/run';
  const inits: readonly (readonly [argv: string, exit: number, code: string, says: RegExp])[] = [
    [
      `init ${elsewhere} --store redis://10.77.0.1:6380 --advertise eth0 --name z`,
      5,
      'store_unreachable',
      /10\.77\.0\.1:6380/,
    ],
    [
      `init ${elsewhere} --store redis://u:secret@10.77.0.1:6379 --advertise eth0 --name z`,
      2,
      'password_on_argv',
      /--store-file/,
    ],
    [`init ${elsewhere} --store ${Cluster.store} --advertise eth0 --name a`, 4, 'name_taken', /a/],
    [`init ${elsewhere} --store ${Cluster.store} --advertise eth9 --name z`, 2, 'no_advertise_address', /10\.77\.0\.2/],
    [
      `init ${elsewhere} --store ${Cluster.store} --advertise 10.77.0.9 --name z`,
      2,
      'no_advertise_address',
      /10\.77\.0\.2/,
    ],
    [
      `init ${elsewhere} --store ${Cluster.store} --advertise eth0 --name z --data-port 5000`,
      4,
      'already_initialized',
      /4789/,
    ],
    [
      `init ${elsewhere} --store ${Cluster.store} --advertise eth0 --name 'not a name'`,
      2,
      'invalid_input',
      /DNS label/,
    ],
    [`agent --config /tmp/w/none.yaml`, 2, 'not_initialized', /warren init/],
  ];
  for (const [argv, exit, code, says] of inits) {
    test(argv.replace(` ${elsewhere}`, ''), async () => {
      await refused(cluster.b, argv, exit, code, says);
      assert.equal(
        (await cluster.b.guest.run('ls -A /tmp/w/config.yaml /tmp/w/state/redis')).code,
        2,
        'nothing half done',
      );
    });
  }

  test('a store with a password, wrong and right, and a read-only one', async () => {
    const { b } = cluster;
    await b.guest.ok(
      'redis-server --daemonize yes --port 6390 --requirepass swordfish --save "" --dir /run --pidfile /run/r1.pid',
    );
    await b.guest.ok(
      'redis-server --daemonize yes --port 6391 --replicaof 127.0.0.1 6390 --masterauth swordfish --save "" --dir /run --pidfile /run/r2.pid',
    );
    await waitFor(() => b.guest.ok('redis-cli -p 6391 role | head -1').then((text) => text.includes('slave')), {
      what: 'the replica',
    });
    const options = `init ${elsewhere} --advertise eth0 --name z --cluster other`;
    for (const secret of ['wrong-guess', '']) {
      const url = `redis://${secret ? `:${secret}@` : ''}127.0.0.1:6390`;
      await refused(b, options, 5, 'store_auth', /password/, { WARREN_STORE: url });
      const shown = await b.warren(options, { WARREN_STORE: url });
      assert.ok(!secret || !`${shown.stdout}${shown.stderr}`.includes(secret), 'a password is never shown');
    }
    await waitFor(
      () => b.guest.ok('redis-cli -p 6391 info replication').then((text) => text.includes('master_link_status:up')),
      { what: 'replication' },
    );
    await refused(b, options, 5, 'store_readonly', /./, { WARREN_STORE: 'redis://127.0.0.1:6391' });
    await b.guest.ok('kill $(cat /run/r1.pid /run/r2.pid)');
  });

  test('not root', async () => {
    const result = await cluster.b.guest.run(
      `setpriv --reuid 65534 --clear-groups warren init --store ${Cluster.store} --json`,
    );
    assert.equal(result.code, 1);
    assert.match(result.stdout, /not_root/);
  });
});

describe('agents', () => {
  test('a second one on a host is refused, wherever its files are', async () => {
    await cluster.a.guest.ok('mkdir -p /tmp/w && cp /etc/warren/config.yaml /tmp/w/config.yaml');
    await refused(
      cluster.a,
      'agent --config /tmp/w/config.yaml --state-dir /tmp/w/state --run-dir /tmp/w/run',
      4,
      'agent_running',
      /another agent/,
    );
  });

  test('none there: exit 5 after a while, with what to do', async () => {
    await refused(cluster.b, 'status', 5, 'agent_unreachable', /warren agent/);
  });

  test('a store that cannot be reached: attach says so, nothing changes, and it works again by itself', async () => {
    const { a } = cluster;
    // It ends by itself: a paused server takes no word to go on either.
    await a.guest.ok(
      'redis-cli -h 10.77.0.1 client kill type normal >/dev/null; redis-cli -h 10.77.0.1 client pause 8000 all',
    );
    await refused(a, 'attach app --netns a2', 5, 'store_unreachable', /10\.77\.0\.1:6379/);
    await waitFor(() => a.warren('attach app --netns a2').then(({ code }) => code === 0), {
      what: 'attach to work again',
    });
  });
});

test('two hosts at once: both succeed, one made the cluster', async () => {
  const results = await Promise.all(
    cluster.hosts.map((host) =>
      host.json<{ cluster: { id: string; created: boolean } }>(
        `init --store ${Cluster.store} --advertise eth0 --cluster twins --config /tmp/t/config.yaml --state-dir /tmp/t/state --run-dir /tmp/t/run`,
      ),
    ),
  );
  assert.equal(new Set(results.map(({ cluster: { id } }) => id)).size, 1);
  assert.deepEqual(results.map(({ cluster: { created } }) => created).sort(), [false, true]);
});
