import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Health, type HealthOptions } from '../../src/agent/health.ts';
import { vigilance } from '../../src/agent/lease.ts';
import type { NodeId } from '../../src/model/id.ts';
import type { Node } from '../../src/model/node.ts';
import { waitFor } from '../support/wait.ts';

const watch = vigilance(0.5); // lease 400 ms, quiet 160 ms, a probe 60 ms
const id = 'aaaaaaaaaaaaaaaa' as NodeId;
const node = { id, underlay: '192.0.2.2' } as Node;
let health: Health | undefined;
afterEach(() => health?.stop());

/** A host that answers or not, and what is found out about it. */
function world(options: Partial<HealthOptions> = {}) {
  const host = { answers: true, asked: 0, told: [] as boolean[] };
  const made = new Health({
    ...watch,
    peers: () => [node],
    known: new Set(),
    changed: (nodes) => host.told.push(...nodes.map((each) => made.down.has(each))),
    ask: async (_, ms) => {
      host.asked++;
      if (!host.answers) await sleep(ms);
      return host.answers;
    },
    ...options,
  });
  health = made;
  return { host, health: made };
}
const old = (age: number): Map<NodeId, number> => new Map([[id, age]]);

test('a lapsed lease alone is nothing: the host answers', async () => {
  const { host, health } = world();
  for (let age = 200; age < 1000; age += 200) {
    health.heard(old(age));
    await sleep(80);
  }
  assert.deepEqual([host.told, host.asked > 2], [[], true]);
});

test('silent and lapsed is dead; one answer, or a renewed lease, is life', async () => {
  const { host, health } = world();
  host.answers = false;
  const began = performance.now();
  health.heard(old(200));
  await waitFor(() => health.down.has(id), { what: 'its death' });
  assert.ok(performance.now() - began >= 150, 'not before the lease has lapsed');
  host.answers = true;
  health.heard(old(600));
  await waitFor(() => !health.down.has(id), { what: 'its answer' });
  host.answers = false;
  health.heard(old(900));
  await waitFor(() => health.down.has(id), { what: 'its second death' });
  health.heard(new Map());
  assert.equal(health.down.has(id), false);
  assert.deepEqual(host.told, [true, false, true, false]);
});

test('one that has never had a lease is dead when it does not answer; one behind a NAT never is', async () => {
  const { host, health } = world();
  host.answers = false;
  health.heard(old(Number.POSITIVE_INFINITY));
  await waitFor(() => health.down.has(id), { what: 'its death' });
  const behind = world({ peers: () => [{ ...node, local: '10.0.0.2' } as Node] });
  behind.host.answers = false;
  behind.health.heard(old(5000));
  await sleep(300);
  assert.deepEqual([behind.host.asked, behind.health.down.size], [0, 0]);
});

test('the store says nothing: hosts that do not answer are found dead all the same', async () => {
  const { host, health } = world();
  health.heard(new Map());
  health.unheard();
  assert.equal(host.asked, 0, 'it may only be late');
  host.answers = false;
  await waitFor(
    () => {
      health.unheard();
      return health.down.has(id);
    },
    { what: 'its death' },
  );
});

test('whom the agent before found dead is dead until it is heard of', () => {
  const { host, health } = world({ known: new Set([id]) });
  assert.equal(health.down.has(id), true);
  health.heard(new Map());
  assert.deepEqual([health.down.has(id), host.told], [false, [false]]);
});
