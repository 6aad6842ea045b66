import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newTokenId } from '../../src/pki/token.ts';
import { askedBy, askedByNobody } from '../../src/store/asker.ts';
import type { Store } from '../../src/store/store.ts';
import { endpointWish, networkWish, nodeWish, withRedis } from './fixture.ts';

const redis = withRedis();

const linesOf = async (store: Store, query: Partial<Parameters<Store['audit']>[0]> = {}): Promise<string[]> => {
  const entries = await store.audit({ limit: 100, networks: [], registry: true, ...query });
  return entries.map(({ by, action, kind, name }) => `${by} ${action} ${kind} ${name}`);
};

test('every change says who made it, of things that are gone, too', async () => {
  const { store } = await redis.cluster({ host: 'a' });
  const node = nodeWish('n1');
  await askedBy('ann', () => store.nodeRegister(node));
  const network = await askedBy('bob', () => store.networkCreate(networkWish('app'), []));
  await askedBy('bob', async () => {
    await store.nodeDrain(node.id, true);
    await askedByNobody(() => store.nodeDrain(node.id, false));
  });
  assert.deepEqual(await linesOf(store), [
    'ann@a register-node node n1',
    'bob@a create-network network app',
    'bob@a drain-node node n1',
    'agent@a drain-node node n1',
  ]);
  const { epoch } = await store.nodeStart(node.id, node, 1000);
  const endpoint = await askedBy('cat', () =>
    store.endpointAttach(network, endpointWish(network, 'web', { node: node.id, epoch })),
  );
  await askedBy('dan', () => store.endpointDetach(network.id, endpoint.id));
  assert.deepEqual(await linesOf(store, { networks: [network.id], registry: false }), [
    'cat@a attach-endpoint endpoint web',
    'dan@a detach-endpoint endpoint web',
  ]);
  const all = await store.audit({ limit: 100, networks: [network.id], registry: true });
  assert.deepEqual(
    all.map(({ at }) => at),
    all.map(({ at }) => at).sort(),
  );
  assert.deepEqual(
    (await store.audit({ limit: 1, networks: [network.id], registry: true })).map(({ action }) => action),
    ['detach-endpoint'],
  );
  const since = all.at(-1)?.at;
  assert.equal((await store.audit({ limit: 100, since, networks: [network.id], registry: true })).length, 1);
});

test('what changes nothing is not in it; tokens are, and are no news to anybody’s view', async () => {
  const { store } = await redis.cluster({ host: 'a' });
  const before = (await store.registrySince(undefined)).revision;
  const id = await askedBy('ann', () => store.tokenIssue({ id: newTokenId(), role: 'worker' }));
  await askedBy('ann', () => store.tokenIssue({ id: newTokenId(), role: 'worker' }));
  await store.tokenTake(id, 'worker');
  await store.tokenTake(id, 'manager'); // refused
  assert.deepEqual(await linesOf(store), ['ann@a issue-token token worker', 'agent@a take-token token worker']);
  const delta = await store.registrySince(before);
  assert.deepEqual([delta.kind, delta.kind === 'changes' && delta.changes], ['changes', []]);
});
