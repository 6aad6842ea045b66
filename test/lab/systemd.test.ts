/**
 * The agent as packaging/warren.service, under a systemd: what it starts that is to outlive it are units of their own.
 *
 *   host a ──┐  redis  a1 ── "app"     an agent like any other
 *   host b ──┴── net0  b1 ── "app"     systemd as process 1 of a PID and mount namespace, with no units but these
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { EndpointJson } from '../../src/control/present.ts';
import { Cluster } from '../support/cluster.ts';
import { waitFor } from '../support/wait.ts';
import { project } from './tools.ts';

let cluster: Cluster;
let a1: EndpointJson;
let b1: EndpointJson;

/** In the namespaces of that systemd. */
const inside = (command: string) => cluster.b.guest.run(['nsenter', '-t', pid, '-m', '-p', 'sh', '-c', command]);
let pid = '';
async function systemctl(argv: string): Promise<string> {
  const { stdout, stderr } = await inside(`systemctl ${argv}`);
  return `${stdout}${stderr}`.trim();
}
const scopes = async () =>
  (await systemctl('list-units --plain --no-legend --type=scope "warren-*"'))
    .split('\n')
    .map((line) => line.replace(/-[0-9a-f]{8}\.scope .*/, ''))
    .sort();
const mainPid = () => systemctl('show --value -p MainPID warren');
const answers = () => cluster.b.inside('b1', 'dig +short +time=1 +tries=1 a1.app');

before(async () => {
  cluster = await Cluster.boot({ guests: 2 });
  const { a, b } = cluster;
  await a.init(`--store ${Cluster.store} --advertise eth0`);
  await b.init(`--store ${Cluster.store} --advertise eth0`);
  await a.startAgent();
  await a.json('network create app --subnet 10.9.0.0/16');
  const unit = readFileSync(join(project, 'packaging/warren.service'), 'utf8');
  // Soon enough for a test; the timer beats twice as often, and a busy machine stalls for seconds.
  const watched = unit
    .replace(/^WatchdogSec=60$/m, 'WatchdogSec=10')
    .replace(/^TimeoutAbortSec=10$/m, 'TimeoutAbortSec=1');
  await b.guest.write('/units/warren.service', watched);
  for (const target of ['sysinit', 'basic', 'shutdown', 'network-online', 'multi-user'])
    await b.guest.write(`/units/${target}.target`, '[Unit]\nDefaultDependencies=no\n');
  await b.guest.write('/units/lab.target', '[Unit]\nDefaultDependencies=no\nWants=warren.service\n');
  // Namespaces that either side makes are seen by both.
  await b.guest.ok('mount --bind /run/netns /run/netns && mount --make-shared /run/netns');
  b.guest.spawn(
    `exec env SYSTEMD_UNIT_PATH=/units container=lab unshare -p -m -f --mount-proc --propagation unchanged \
     /lib/systemd/systemd --system --unit=lab.target --log-target=console >/lab/b.systemd 2>&1`,
  );
  pid = await waitFor(async () => (await b.guest.run('pgrep -xo systemd')).stdout.trim() || undefined, {
    what: 'systemd',
  });
  await waitFor(async () => (await systemctl('is-active warren')) === 'active', {
    what: 'the unit to be active',
    timeout: 30_000,
  });
  await b.settled();
  a1 = await a.attach('app', 'a1');
  b1 = await b.attach('app', 'b1');
});
after(() => cluster?.stop());

test('what outlives the agent is a unit of its own', async () => {
  assert.equal((await answers()).stdout.trim().split('\n')[0], a1.addresses[0]);
  assert.deepEqual(await scopes(), ['warren-dns']);
  // As of when it was ready, or of the last sign of life, half a minute apart.
  assert.match(
    await systemctl('show --value -p StatusText warren'),
    /^(in cluster "default"|the store has not answered yet)$/,
  );
});

test('kill -9: systemd starts it again; no packet and no name is missed', async () => {
  const { a } = cluster;
  const ping = a.guest.run(`ip netns exec a1 ping -n -i 0.02 -c 200 -W1 ${b1.addresses[0]}`);
  const before = await mainPid();
  await systemctl('kill -s KILL --kill-who=main warren');
  await waitFor(
    async () => {
      const now = await mainPid();
      return now !== '0' && now !== before && (await systemctl('is-active warren')) === 'active';
    },
    { what: 'the next agent', timeout: 20_000 },
  );
  assert.match((await ping).stdout, /200 received/);
  assert.equal((await answers()).code, 0);
  assert.deepEqual(await scopes(), ['warren-dns'], 'the same, adopted');
});

test('systemctl stop: the network goes on, and names', async () => {
  const { a, b } = cluster;
  await systemctl('stop warren');
  assert.equal(await systemctl('is-active warren'), 'inactive');
  assert.deepEqual(await scopes(), ['warren-dns']);
  assert.equal((await a.inside('a1', `ping -n -c3 -i 0.2 -W1 ${b1.addresses[0]}`)).code, 0);
  assert.equal((await answers()).stdout.trim().split('\n')[0], a1.addresses[0]);
  await systemctl('start warren');
  await b.settled();
});

test('one that hangs is killed and started again; one that lives is left alone for longer than that takes', async () => {
  const { a } = cluster;
  const restarts = () => systemctl('show --value -p NRestarts warren');
  const [pid, before] = [await mainPid(), await restarts()];
  await cluster.b.guest.ok('sleep 12'); // it is time itself that must not end it
  assert.deepEqual([await mainPid(), await restarts()], [pid, before]);
  await systemctl('kill -s STOP --kill-who=main warren');
  await waitFor(async () => (await restarts()) !== before && (await systemctl('is-active warren')) === 'active', {
    what: 'the watchdog to act',
    timeout: 30_000,
  });
  assert.notEqual(await mainPid(), pid);
  assert.equal((await a.inside('a1', `ping -n -c3 -i 0.2 -W1 ${b1.addresses[0]}`)).code, 0);
});
