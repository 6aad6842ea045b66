import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newId } from '../../src/model/id.ts';
import { newTokenId } from '../../src/pki/token.ts';
import { waitFor } from '../support/wait.ts';
import { fails, nodeWish, withRedis } from './fixture.ts';

const redis = withRedis();

test('the standing token of a role stays until it is rotated', async () => {
  const { store } = await redis.cluster();
  const first = await store.tokenIssue({ id: newTokenId(), role: 'worker' });
  assert.equal(await store.tokenIssue({ id: newTokenId(), role: 'worker' }), first);
  const manager = await store.tokenIssue({ id: newTokenId(), role: 'manager' });
  assert.notEqual(manager, first);
  assert.equal(await store.tokenTake(first, 'worker'), 'ok');
  assert.equal(await store.tokenTake(first, 'worker'), 'ok');
  assert.equal(await store.tokenTake(first, 'manager'), 'token_unknown');
  const second = await store.tokenIssue({ id: newTokenId(), role: 'worker', rotate: true });
  assert.notEqual(second, first);
  assert.deepEqual(await Promise.all([store.tokenTake(first, 'worker'), store.tokenTake(second, 'worker')]), [
    'token_unknown',
    'ok',
  ]);
  assert.equal(await store.tokenTake(manager, 'manager'), 'ok');
});

test('a token for three hosts lets in three of twenty at once', async () => {
  const { store } = await redis.cluster();
  const id = await store.tokenIssue({ id: newTokenId(), role: 'worker', uses: 3 });
  const verdicts = await Promise.all(Array.from({ length: 20 }, () => store.tokenTake(id, 'worker')));
  assert.equal(verdicts.filter((each) => each === 'ok').length, 3);
  assert.equal(verdicts.filter((each) => each === 'token_used').length, 17);
  assert.notEqual(await store.tokenIssue({ id: newTokenId(), role: 'worker' }), id, 'it is not the standing one');
});

test('a token that ends does, by the store’s clock', async () => {
  const { store } = await redis.cluster();
  const id = await store.tokenIssue({ id: newTokenId(), role: 'worker', ttlMs: 300 });
  assert.equal(await store.tokenTake(id, 'worker'), 'ok');
  await waitFor(async () => (await store.tokenTake(id, 'worker')) === 'token_expired', { what: 'its end' });
});

test('a drained node stays so over a new start and new facts, and in what is restored', async () => {
  const { store } = await redis.cluster();
  const wish = nodeWish('n1');
  await store.nodeRegister(wish);
  assert.equal((await store.nodeDrain(wish.id, true)).drained, true);
  const facts = { underlay: wish.underlay, underlayMtu: 9000, routes: [], version: '2' };
  const started = await store.nodeStart(wish.id, facts, 1000);
  assert.deepEqual([started.drained, started.epoch], [true, 1]);
  assert.equal((await store.nodeRefresh(wish.id, 1, facts)).drained, true);
  assert.equal((await store.nodeDrain(wish.id, true)).drained, true);
  const active = await store.nodeDrain(wish.id, false);
  assert.equal(active.drained, undefined);
  await fails(store.nodeDrain(newId<'node'>(), true), 'node_not_found');
});

test('without a cluster there are none', async () => {
  const store = redis.open('nobody');
  await fails(store.tokenIssue({ id: newTokenId(), role: 'worker' }), 'not_initialized');
});
