/**
 * A host is taken out from another one: dead, or by force although it lives. It does not come back by itself.
 *
 *   host a ──┐  redis  a1 ── "app", encrypted
 *   host b ──┴── net0  b1 ── "app"
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { EndpointJson, NodeJson } from '../../src/control/present.ts';
import { Cluster } from '../support/cluster.ts';
import { waitFor } from '../support/wait.ts';

let cluster: Cluster;
let a1: EndpointJson;
let b1: EndpointJson;
before(async () => {
  cluster = await Cluster.start({ guests: 2 });
  await cluster.a.json('network create app --subnet 10.9.0.0/16');
  a1 = await cluster.a.attach('app', 'a1');
  b1 = await cluster.b.attach('app', 'b1');
});
after(() => cluster?.stop());

const nodes = async () => (await cluster.a.json<NodeJson[]>('node ls')).map(({ name }) => name);
const endpoints = async () => (await cluster.a.json<EndpointJson[]>('endpoint ls')).map(({ name }) => name);
const log = () => readFileSync(join(cluster.lab.share, 'b.agent'), 'utf8');
/** What a has in its kernel because of b: where its endpoint is, and keys. */
const traces = async () => {
  const { guest } = cluster.a;
  const fdb = `bridge -n warren-1048576 fdb show dev vx0 | grep ${b1.mac} || true`;
  return `${await guest.ok(fdb)}${await guest.ok('ip xfrm state')}`;
};
const noTraces = () => waitFor(async () => (await traces()) === '', { what: 'a to forget b', timeout: 2000 });
const ping = () => cluster.b.inside('b1', `ping -n -c1 -W2 ${a1.addresses[0]}`);

test('who lives, who is not there, and this host are refused', async () => {
  const { a } = cluster;
  const alive = await a.warren('node rm b');
  assert.deepEqual([alive.code, alive.stdout], [4, '']);
  assert.match(alive.stderr, /agent of node "b" is alive; on that host: warren leave/);
  const self = await a.warren('node rm a --force');
  assert.equal(self.code, 4);
  assert.match(self.stderr, /is this host; take it out with: warren leave/);
  assert.equal((await a.warren('node rm nosuch')).code, 3);
  assert.deepEqual(await a.json('node rm nosuch --if-exists'), { removed: [] });
  assert.deepEqual(await nodes(), ['a', 'b']);
});

test('a dead one with endpoints goes by force only; started again its agent ends and says why', async () => {
  const { a, b } = cluster;
  assert.equal((await ping()).code, 0, 'it did work');
  await b.killAgent();
  const refused = await waitFor(
    async () => {
      const { stderr } = await a.warren('node rm b');
      return /is alive/.test(stderr) ? undefined : stderr;
    },
    { what: "b's lease to lapse" },
  );
  assert.match(refused, /node "b" has 1 endpoint on "app"/);
  assert.equal((await ping()).code, 0, 'nothing was touched');
  assert.match(await traces(), /dst 10\.77\.0\.2[\s\S]*proto esp/);
  const { id } = (await a.json<NodeJson[]>('node ls')).find(({ name }) => name === 'b') as NodeJson;
  assert.deepEqual(await a.json('node rm b --force'), { removed: [id] });
  assert.deepEqual([await nodes(), await endpoints()], [['a'], ['a1']]);
  await noTraces();
  for (let round = 0; round < 2; round++) {
    const agent = await b.guest.run('warren agent', { timeout: 20_000 });
    assert.equal(agent.code, 3, agent.stderr);
    assert.match(agent.stderr, /node "b" was removed from cluster "default"; to come back: warren init/);
  }
  assert.equal((await b.warren('sync --once')).code, 3);
  assert.deepEqual(await nodes(), ['a']);
});

test('a person brings it back with init', async () => {
  const { b } = cluster;
  await b.init(`--store ${Cluster.store} --advertise eth0`);
  await b.startAgent();
  assert.deepEqual(await nodes(), ['a', 'b']);
  b1 = await b.attach('app', 'b2');
  assert.equal((await b.inside('b2', `ping -n -c1 -W2 ${a1.addresses[0]}`)).code, 0);
});

test('a living one that is removed by force loses its networks, ends, and stays out', async () => {
  const { a, b } = cluster;
  const before = log().length;
  const { id } = (await a.json<NodeJson[]>('node ls')).find(({ name }) => name === 'b') as NodeJson;
  assert.deepEqual(await a.json('node rm b --force'), { removed: [id] });
  assert.deepEqual([await nodes(), await endpoints()], [['a'], ['a1']]);
  await waitFor(() => log().slice(before).includes('error: node "b" was removed from cluster "default"'), {
    what: "b's agent to say why it ends",
  });
  assert.equal((await b.agentEnd()).code, 3);
  assert.equal((await b.guest.run('ip -n b2 link show eth0')).code, 1, 'detached as if by hand');
  await noTraces();
  assert.equal((await b.guest.run('warren agent', { timeout: 20_000 })).code, 3);
  assert.deepEqual(await nodes(), ['a']);
  const left = await b.json<{ left: boolean }>('leave');
  assert.equal(left.left, true);
  assert.equal(await b.guest.ok('ls /run/netns | grep warren- || true'), '');
});
