/**
 * A cluster is upgraded host by host: agents of two versions live side by side, and the store has the new layout once the older
 * one is gone. The older one here is this one, made to know the first layout only.
 *
 *   a  manager, with the cluster's own store      b  worker
 */
import assert from 'node:assert/strict';
import { cpSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { EndpointJson, NodeJson } from '../../src/control/present.ts';
import { schema } from '../../src/store/keys.ts';
import { Host } from '../support/cluster.ts';
import { waitFor } from '../support/wait.ts';
import { Lab } from './lab.ts';
import { project } from './tools.ts';

let lab: Lab;
let [a, b]: Host[] = [];
const older = '/lab/older/bin/warren';

/** What layout 1 had not: agents did not say which they know, and there was no sorted set of leases. */
const changes = [
  [/registry: 2,/, 'registry: 1,'],
  [/layout: schema\.registry/, 'layout: undefined'],
  [/seen: key\("seen"\)/, 'seen: key("meta")'],
] as const;

function makeOlder(): void {
  const folder = join(lab.share, 'older');
  for (const part of ['dist', 'bin']) cpSync(join(project, part), join(folder, part), { recursive: true });
  symlinkSync(join(project, 'build'), join(folder, 'build'));
  let made = 0;
  for (const name of readdirSync(join(folder, 'dist')).filter((each) => each.endsWith('.mjs'))) {
    const path = join(folder, 'dist', name);
    let text = readFileSync(path, 'utf8');
    for (const [now, then] of changes)
      if (now.test(text)) {
        text = text.replace(now, then);
        made++;
      }
    writeFileSync(path, text);
  }
  assert.equal(made, changes.length, 'each change is made at one place');
}

before(async () => {
  lab = await Lab.start({ guests: 2 });
  [a, b] = lab.all.map((guest) => new Host(guest));
  makeOlder();
});
after(() => lab?.stop());
const hosts = () => [a ?? assert.fail(), b ?? assert.fail()] as const;

const endpoints: EndpointJson[] = [];
async function reach(): Promise<void> {
  for (const host of hosts())
    for (const { addresses } of endpoints) {
      const ping = await host.inside(`${host.name}1`, `ping -n -c1 -W2 ${addresses[0]}`);
      assert.equal(ping.code, 0, `${host.name} → ${addresses[0]}: ${ping.stdout}`);
    }
}

test('the older version makes a cluster', async () => {
  const [a, b] = hosts();
  await a.guest.ok(`${older} init --advertise eth0`);
  await a.startAgent('', older);
  await b.guest.write('/tmp/token', (await a.json<{ token: string }>('token worker')).token, '600');
  await b.guest.ok(`${older} join - a </tmp/token`);
  await b.startAgent('', older);
  await a.json('network create app --subnet 10.9.0.0/16');
  for (const host of hosts()) endpoints.push(await host.attach('app', `${host.name}1`));
  await reach();
  assert.equal((await a.status()).store.layout, 1);
});

test('a new manager and an older worker: everything works, the store stays as it is, and status says why', async () => {
  const [a, b] = hosts();
  await a.stopAgent();
  await a.startAgent();
  const { store, warnings } = await a.status();
  assert.deepEqual([store.layout, warnings.length], [1, 1]);
  assert.match(warnings[0] ?? '', /older layout until warren is upgraded, or the host removed, at: b \(/);
  for (const host of hosts()) {
    endpoints.push(await host.attach('app', `${host.name}2`));
    await reach();
    await host.json(`detach ${host.name}2`);
    endpoints.pop();
  }
  const nodes = await a.json<NodeJson[]>('node ls');
  assert.deepEqual(
    nodes.map(({ status }) => status),
    ['up', 'up'],
  );
  await b.stopAgent();
  await waitFor(async () => (await a.json<NodeJson[]>('node ls')).some(({ status }) => status === 'stale'), {
    what: 'a lease to lapse, in the older layout',
  });
});

test('with the last one upgraded the store has the new layout, and its workers may use it', async () => {
  const [a, b] = hosts();
  await b.startAgent();
  await waitFor(async () => (await a.status()).store.layout === schema.registry, { what: 'the new layout' });
  for (const host of hosts()) {
    await waitFor(async () => (await host.status()).store.layout === schema.registry, { what: `it on ${host.name}` });
    assert.deepEqual((await host.status()).warnings, []);
  }
  await reach();
  await b.stopAgent();
  await waitFor(async () => (await a.json<NodeJson[]>('node ls')).some(({ status }) => status === 'stale'), {
    what: 'a lease to lapse, in the new one',
  });
  await b.startAgent();
  const said = await b.guest.ok('cat /lab/b.agent');
  assert.ok(!said.includes('the lease cannot be renewed'), 'a worker’s user of the store may touch what is new');
});

test('the older version is refused from here on, and leaves the kernel as it is', async () => {
  const [, b] = hosts();
  await b.stopAgent();
  const before = await b.guest.ok('ip -n warren-1048576 -br link');
  const agent = b.guest.spawn(`exec ${older} agent >/lab/b.older 2>&1`);
  await waitFor(async () => /layout 2, which this version does not know/.test(await b.guest.ok('cat /lab/b.older')), {
    what: 'the refusal',
  });
  await reach();
  assert.equal(await b.guest.ok('ip -n warren-1048576 -br link'), before);
  agent.kill('SIGTERM');
  await agent.done;
  await b.startAgent();
  await reach();
});
