import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Reconciler } from '../../src/agent/reconcile.ts';
import { Wanted } from '../../src/agent/wanted.ts';
import type { Op } from '../../src/kernel/op.ts';
import { endpointKey } from '../../src/plan/key.ts';
import { FakeKernel } from '../support/fake-kernel.ts';
import { endpoint, network, node, view } from '../support/world.ts';

const [a, b] = [node('a', 1), node('b', 2)];
const app = network('app', { members: [a.id, b.id] });
const here = endpoint('here', app, a, 11);
const second = endpoint('second', app, a, 13);
const there = endpoint('there', app, b, 12);

function setup() {
  const kernel = new FakeKernel();
  for (const one of [here, second]) {
    kernel.addNetns(one.netns);
    kernel.inodes.set(one.netns, one.born.inode);
  }
  return { kernel, reconciler: new Reconciler(kernel, new Wanted(), a.id, 'boot') };
}

test('a second pass finds nothing to do', async () => {
  const { kernel, reconciler } = setup();
  const world = view([a, b], [app], [here, there]);
  assert.ok((await reconciler.run(world, app.id)).steps.length > 20);
  assert.deepEqual((await reconciler.run(world, app.id)).steps, []);
  await reconciler.run(world, 'node');
  assert.deepEqual((await reconciler.run(world, 'node')).steps, []);
  const adopted = new Reconciler(kernel, new Wanted(), a.id, 'boot');
  assert.deepEqual((await adopted.run(world, app.id)).steps, [], 'a new agent adopts what it finds');
});

test('one endpoint’s change is one endpoint’s work, and leaves what a whole pass would leave', async () => {
  const { kernel, reconciler } = setup();
  await reconciler.run(view([a, b], [app], [here]), app.id);
  const before = kernel.applied.length;
  const more = view([a, b], [app], [here, second, there]);
  await reconciler.run(more, endpointKey(app.id, second.id));
  await reconciler.run(more, endpointKey(app.id, there.id));
  assert.ok(kernel.applied.length - before < 20, `${kernel.applied.length - before} ops`);
  assert.deepEqual((await reconciler.run(more, app.id)).steps, []);
  const less = view([a, b], [app], [here]);
  await reconciler.run(less, endpointKey(app.id, second.id));
  await reconciler.run(less, endpointKey(app.id, there.id));
  await reconciler.swept(second.netns);
  assert.deepEqual((await reconciler.run(less, app.id)).steps, []);
});

test('the last endpoint takes the network out of this kernel', async () => {
  const { kernel, reconciler } = setup();
  await reconciler.run(view([a, b], [app], [here, there]), app.id);
  assert.equal(reconciler.built.size, 1);
  await reconciler.run(view([a, b], [app], [there]), app.id);
  assert.equal(reconciler.built.size, 0);
  assert.ok(!kernel.spaces.has('/run/netns/warren-1048576'));
});

test('a node that was removed detaches what it had, though the network is still told of', async () => {
  const { kernel, reconciler } = setup();
  await reconciler.run(view([a, b], [app], [here, there]), app.id);
  const without = view([b], [app], [here, there]);
  assert.deepEqual((await reconciler.run(without, 'node')).steps, [], 'what guards stays');
  await reconciler.run(without, app.id);
  assert.equal(reconciler.built.size, 0);
  assert.ok(!kernel.spaces.has('/run/netns/warren-1048576'));
});

test('a namespace that ended, was replaced, or belongs to an earlier boot is gone; it is named and cut off', async () => {
  const world = view([a, b], [app], [here, second]);
  for (const harm of ['ended', 'replaced', 'rebooted'] as const) {
    const { kernel, reconciler } = setup();
    await reconciler.run(world, app.id);
    if (harm === 'ended') kernel.spaces.delete(here.netns);
    if (harm === 'replaced') kernel.inodes.set(here.netns, 7);
    const later = harm === 'rebooted' ? new Reconciler(kernel, new Wanted(), a.id, 'another boot') : reconciler;
    const { gone } = await later.run(world, app.id);
    assert.deepEqual(
      gone.map(({ name }) => name),
      harm === 'rebooted' ? ['here', 'second'] : ['here'],
      harm,
    );
  }
});

test('each op failing once, in turn: the next pass heals it', async () => {
  const world = view([a, b], [app], [here, there]);
  const { kernel: clean, reconciler: first } = setup();
  await first.run(world, app.id);
  const wanted = JSON.stringify([...(clean.spaces.get('/run/netns/warren-1048576')?.links.keys() ?? [])].sort());
  for (let nth = 0; nth < clean.applied.length; nth++) {
    const { kernel, reconciler } = setup();
    let seen = 0;
    kernel.fault = (_: string, __: Op) => (seen++ === nth ? 'EIO' : undefined);
    await assert.rejects(reconciler.run(world, app.id), /EIO/);
    await reconciler.run(world, app.id);
    assert.deepEqual((await reconciler.run(world, app.id)).steps, [], `after op ${nth}`);
    assert.equal(
      JSON.stringify([...(kernel.spaces.get('/run/netns/warren-1048576')?.links.keys() ?? [])].sort()),
      wanted,
    );
  }
});

test('a network whose endpoints are not known yet is left alone', async () => {
  const { kernel, reconciler } = setup();
  const world = view([a, b], [app], [here]);
  await reconciler.run(world, app.id);
  const { steps } = await reconciler.run({ ...world, followed: new Map() }, 'node');
  assert.deepEqual(steps, []);
  assert.ok(kernel.spaces.has('/run/netns/warren-1048576'));
});

test('an endpoint that arrives while a whole pass is under way is applied by its own key', async () => {
  const { kernel, reconciler } = setup();
  const world = view([a, b], [app], [here]);
  const endpoints = world.followed.get(app.id)?.endpoints as Map<typeof there.id, typeof there>;
  kernel.fault = () => {
    endpoints.set(there.id, there); // the mirror goes on meanwhile
    return undefined;
  };
  await reconciler.run(world, app.id);
  const { steps } = await reconciler.run(world, endpointKey(app.id, there.id));
  assert.equal(steps.length, 4);
  assert.deepEqual((await reconciler.run(world, app.id)).steps, []);
});
