/** A store whose memory is used up: what is new is refused whole, what frees, mends and keeps alive goes on. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { memoryWarnings, refuseEvicting } from '../../src/control/memory.ts';
import { newTokenId } from '../../src/pki/token.ts';
import { storeError } from '../../src/store/error.ts';
import { openStore } from '../../src/store/redis.ts';
import type { Store } from '../../src/store/store.ts';
import { type RedisServer, startRedis } from '../support/redis.ts';
import { attach, clusterWish, endpointWish, fails, networkWish, nodeWish, serviceWish } from './fixture.ts';

let server: RedisServer;
let store: Store;
before(async () => {
  server = await startRedis();
  store = openStore(server.url, 'test');
  await store.clusterInit(clusterWish);
});
after(async () => {
  await store?.close();
  await server?.stop();
});

const bound = (bytes: string) => server.admin.config('SET', 'maxmemory', bytes);
/** Everything the store holds, byte by byte. */
async function content(): Promise<string[]> {
  const keys = (await server.admin.keys('*')).sort();
  return Promise.all(keys.map(async (key) => `${key} ${(await server.admin.dumpBuffer(key)).toString('base64')}`));
}

test('nothing new, and nothing of it by half; all else goes on', async () => {
  const wish = nodeWish('n1');
  await store.nodeRegister(wish);
  const { epoch } = await store.nodeStart(wish.id, wish, 60_000);
  const other = nodeWish('n2');
  await store.nodeRegister(other);
  const network = await store.networkCreate(networkWish('app'), []);
  const net = await store.networkJoin(network.id, wish.id);
  const own = { node: wish.id, epoch };
  const service = await store.serviceCreate(net, serviceWish(net, 'web'));
  const [one, two] = [await attach(store, net, 'e1', own), await attach(store, net, 'e2', own)];
  await store.endpointReady(net.id, one.id, epoch);
  await bound('1');
  const before = await content();
  for (const [what, asked] of Object.entries({
    attach: () => store.endpointAttach(net, endpointWish(net, 'e3', own)),
    network: () => store.networkCreate(networkWish('more'), []),
    grow: () => store.networkUpdate(net.id, { labels: { a: 'b' } }, []),
    join: () => store.networkJoin(net.id, other.id),
    node: () => store.nodeRegister(nodeWish('n3')),
    service: () => store.serviceCreate(net, serviceWish(net, 'more')),
    token: () => store.tokenIssue({ id: newTokenId(), role: 'worker' }),
  }))
    await fails(asked(), 'store_full', /is full: it takes nothing new/).catch((error: Error) =>
      assert.fail(`${what}: ${error.message}`),
    );
  assert.deepEqual(await content(), before, 'a refusal leaves no trace');
  await store.nodeRenew(wish.id, epoch, 60_000);
  await store.endpointReady(net.id, two.id, epoch);
  await store.endpointServe(net.id, two.id, { backend: { service: service.id, weight: 1, healthy: true } });
  await store.announce(wish.id, epoch, new Map([[other.id, 'new keys']]));
  assert.equal((await store.endpoints(net.id)).length, 2);
  assert.equal((await store.endpointDetach(net.id, two.id))?.name, 'e2');
  assert.equal((await store.networkCheck(net, { repair: true, gone: [], known: undefined })).left, 0);
  assert.equal(await store.serviceRemove(net.id, service.id), true);
  assert.equal((await store.nodeStart(wish.id, wish, 60_000)).epoch, epoch + 1);
  assert.equal(await store.nodeRemove(other.id), true);
  await bound('0');
  await attach(store, net, 'e4', { ...own, epoch: epoch + 1 });
});

test('how full it is, is told in time; one that forgets is no store', async () => {
  const { used, most, evicts } = await store.memory();
  assert.ok(used > 100_000);
  assert.deepEqual([most, evicts], [0, false]);
  assert.deepEqual(memoryWarnings({ used, most, evicts }), []);
  assert.deepEqual(memoryWarnings({ used: 89, most: 100, evicts }), []);
  assert.match(memoryWarnings({ used: 90, most: 100, evicts })[0] ?? '', /90 % of its memory/);
  await refuseEvicting(store);
  await server.admin.config('SET', 'maxmemory-policy', 'volatile-lru');
  await refuseEvicting(store);
  await server.admin.config('SET', 'maxmemory-policy', 'allkeys-lru');
  assert.match(memoryWarnings(await store.memory())[0] ?? '', /noeviction/);
  await fails(refuseEvicting(store), 'store_evicts');
  await server.admin.config('SET', 'maxmemory-policy', 'noeviction');
});

test('a Redis that does not know our scripts is named as too old', () => {
  const error = new Error("ERR Error compiling script (new function): user_script:1: unexpected symbol near '#'");
  assert.equal(storeError({ url: 'redis://old:6379', secrets: [] }, error).code, 'store_too_old');
});
