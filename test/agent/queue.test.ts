import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Queue } from '../../src/agent/queue.ts';
import type { Key } from '../../src/plan/key.ts';

const key = (name: string): Key => name as Key;

test('a key waits at most once, and each runs in the order it came', async () => {
  const ran: Key[] = [];
  const queue = new Queue(
    async (one) => void ran.push(one),
    () => {},
  );
  for (const name of ['a', 'b', 'a', 'b']) queue.add(key(name));
  await queue.done(key('c'));
  assert.deepEqual(ran, ['a', 'b', 'c']);
  await queue.close();
});

test('a key added by one who waited for the last one runs', { timeout: 5000 }, async () => {
  const ran: Key[] = [];
  const queue = new Queue(
    async (one) => void ran.push(one),
    () => {},
  );
  await queue.done(key('a'));
  await queue.done(key('b'));
  assert.deepEqual([ran, queue.busy], [['a', 'b'], false]);
  await queue.close();
});

test('who reacts to the news that added a key waits for that run', async () => {
  const ran: Key[] = [];
  const queue = new Queue(
    async (one) => void ran.push(one),
    () => {},
  );
  queue.add(key('a'));
  await Promise.resolve();
  await queue.done(key('a'));
  assert.deepEqual(ran, ['a']);
  await queue.close();
});

test('done waits for a run that begins after it was asked', async () => {
  let begun = 0;
  let release = (): void => {};
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  const queue = new Queue(
    async () => {
      begun++;
      if (begun === 1) await gate;
    },
    () => {},
  );
  queue.add(key('a'));
  await new Promise(setImmediate);
  const done = queue.done(key('a'));
  release();
  await done;
  assert.equal(begun, 2);
  await queue.close();
});

test('a failed key comes back by itself; who waited is told at once', async () => {
  let tries = 0;
  let healed = (): void => {};
  const again = new Promise<void>((resolve) => {
    healed = resolve;
  });
  const failures: number[] = [];
  const queue = new Queue(
    async () => {
      if (++tries < 3) throw new Error('no');
      healed();
    },
    (_, __, retryMs) => failures.push(retryMs),
  );
  await assert.rejects(queue.done(key('a')), /no/);
  assert.equal(queue.pending, 1);
  await again;
  assert.deepEqual(failures, [100, 200]);
  await queue.close();
  assert.equal(queue.pending, 0);
});

test('a closed queue takes nothing and keeps nobody waiting', async () => {
  const queue = new Queue(
    async () => {},
    () => {},
  );
  await queue.close();
  await assert.rejects(queue.done(key('a')), /stopping/);
});
