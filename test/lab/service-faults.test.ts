/**
 * What happens to new connections to a service while its backends, their hosts and agents come and go.
 *
 *   host a   client ca, Redis      host b   backends      host c   backends
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { ServiceJson } from '../../src/control/present-service.ts';
import { Cluster } from '../support/cluster.ts';
import { askFrom, serve, serving, underLoad } from '../support/service.ts';
import { soon, waitFor } from '../support/wait.ts';

/** Of ten, half on each host; the long form replaces all of them. */
const replaced = process.env.WARREN_LONG ? 10 : 4;

describe('a service whose backends come and go', () => {
  let cluster: Cluster;
  let vip: string;
  const homes = () => [cluster.b, cluster.c];
  const home = (n: number) => homes()[n % 2] ?? assert.fail();
  before(async () => {
    cluster = await Cluster.start();
    const { a } = cluster;
    await a.json('network create app --subnet 10.9.0.0/16 --subnet fd09::/64');
    const service = await a.json<ServiceJson>('service create web --network app --port 80:8080 --health-interval 0.5');
    vip = service.vips[0] ?? '';
    await a.attach('app', 'ca');
    for (let n = 0; n < replaced; n++) {
      await home(n).attach('app', `old${n}`, '--service web');
      await serve(home(n), `old${n}`, 8080);
    }
    await serving(a, 'web', replaced);
  });
  after(() => cluster?.stop());

  test('all backends are replaced, one by one: no connection fails', async () => {
    const { a } = cluster;
    const { failed, count, seconds } = await underLoad(a, 'ca', vip, 80, async () => {
      for (let n = 0; n < replaced; n++) {
        await home(n).attach('app', `new${n}`, '--service web');
        await serve(home(n), `new${n}`, 8080);
        await serving(a, 'web', replaced + 1);
        await a.json(`service drain web old${n}`);
        await home(n).json(`detach app/old${n}`);
        await home(n).guest.ok(['pkill', '-f', `server.py old${n} `]);
        await home(n).guest.ok(`ip netns del old${n}`);
      }
    });
    assert.deepEqual(failed, [], `of ${count} in ${seconds} s`);
    assert.ok(count > 100, `only ${count}`);
  });

  test('agents are killed where the client is and where a backend is: no connection fails', async () => {
    const { a, b } = cluster;
    const { failed, count } = await underLoad(a, 'ca', vip, 80, async () => {
      for (const host of [a, b]) await host.killAgent();
      for (const host of [a, b]) await host.startAgent();
    });
    assert.deepEqual(failed, [], `of ${count}`);
  });

  test('a backend’s namespace is deleted under it: it is balanced to no more within two seconds', async () => {
    const { a, b } = cluster;
    const { outages } = await underLoad(a, 'ca', vip, 80, async () => {
      await b.guest.ok(['pkill', '-9', '-f', 'server.py new0 ']);
      await b.guest.ok('ip netns del new0');
      await serving(a, 'web', replaced - 1);
      assert.deepEqual((await askFrom(a, 'ca', vip, 80, 'tcp', 6)).failed, []);
    });
    const [begin = 0, length = 0] = outages.at(-1) ?? [];
    const first = outages[0]?.[0] ?? begin;
    assert.ok(begin + length - first < soon(6), `an outage of ${begin + length - first} s`);
  });

  test('the store is away: backends go on, and what changed meanwhile is known when it is back', async () => {
    const { a, b } = cluster;
    await a.guest.ok('redis-cli -h 10.77.0.1 shutdown nosave || true');
    const { failed } = await askFrom(a, 'ca', vip, 80, 'tcp', 20);
    assert.deepEqual(failed, []);
    await a.guest.ok(
      'redis-server --daemonize yes --bind 10.77.0.1 127.0.0.1 --protected-mode no --save "" --dir /run',
    );
    await a.settled();
    await waitFor(
      async () => {
        const { result } = await a.ask<ServiceJson[]>('service.list', {});
        return result?.[0]?.vips[0] === vip && result[0].backends.length === replaced - 1;
      },
      { what: 'the service to be in the new store', timeout: 30_000 },
    );
    for (const host of [a, b]) await host.settled();
    assert.deepEqual((await askFrom(a, 'ca', vip, 80, 'tcp', 10)).failed, []);
  });

  test('a host dies: once it is found dead, no connection fails', async () => {
    const { a, c } = cluster;
    const alive = Math.ceil(replaced / 2) - 1;
    let [began, died, found] = [0, 0, 0];
    const { outages } = await underLoad(
      a,
      'ca',
      vip,
      80,
      async () => {
        began = performance.now();
        assert.deepEqual((await askFrom(a, 'ca', vip, 80, 'tcp', 5)).failed, []);
        died = performance.now();
        await c.guest.kill();
        await waitFor(
          async () => {
            const { result = [] } = await a.ask<ServiceJson['backends']>('service.backends', { service: 'web' });
            return result.filter(({ weight }) => weight > 0).length === alive;
          },
          { what: 'host c to be found dead', timeout: 60_000 },
        );
        found = performance.now();
        assert.deepEqual((await askFrom(a, 'ca', vip, 80, 'tcp', 40)).failed, []);
      },
      1,
    );
    const [since = 0, length = 0] = outages.at(-1) ?? [];
    const last = since + length - (found - began) / 1000;
    const detected = ((found - died) / 1000).toFixed(1);
    console.log(`found dead after ${detected} s; the last failure was over ${last.toFixed(1)} s after that`);
    assert.ok(last < soon(2), `${last} s`);
  });
});
