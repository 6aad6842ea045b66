import { setTimeout as sleep } from 'node:timers/promises';
import { endpointMac } from '../src/model/endpoint.ts';
import { type EndpointId, type NodeId, newId } from '../src/model/id.ts';
import type { Network } from '../src/model/network.ts';
import { openStore } from '../src/store/redis.ts';
import { attachTo, createApp } from './attach.ts';
import type { Bench } from './place.ts';
import { type Host, nodeIdOf, rssOf, sh, storeUrl } from './place.ts';
import { batch, Floor, iproute } from './rivals.ts';

/** Milliseconds from knowing the wishes to the end of the first whole pass, by the agent's own clock; and since its start. */
async function coldStart(host: Host): Promise<{ pass: number; wall: number; rss: number }> {
  const began = performance.now();
  const client = await host.startAgent();
  const { ms } = await host.said('this host is as wished');
  const wall = performance.now() - began;
  const rss = rssOf(host.agentPid);
  client.close();
  return { pass: Number(ms), wall, rss };
}

async function wipe(): Promise<void> {
  sh('for name in $(ls /run/netns | grep ^warren- || true); do ip netns del $name; done');
  while (sh('ip -o link | grep -c "wup[0-9]" || true').trim() !== '0') await sleep(10);
  await sleep(500);
}

export const coldLocal: Bench = async ({ a }, report, quick) => {
  const count = quick ? 200 : 1000;
  const floor = new Floor(a);
  const client = await a.startAgent();
  await a.said('in the cluster');
  await createApp(client);
  for (const prefix of ['w', 'f', 'i']) await floor.run(`netns ${prefix} ${count}`);
  for (let i = 0; i < count; i++) await attachTo(client, `w${i}`);
  client.close();
  const values: Record<'pass' | 'wall' | 'rss' | 'adopt' | 'floor' | 'iproute', number[]> = {
    pass: [],
    wall: [],
    rss: [],
    adopt: [],
    floor: [],
    iproute: [],
  };
  for (let round = 0; round < (quick ? 1 : 3); round++) {
    await a.stopAgent();
    await wipe();
    const cold = await coldStart(a);
    values.pass.push(cold.pass);
    values.wall.push(cold.wall);
    values.rss.push(cold.rss);
    await a.stopAgent();
    values.adopt.push((await coldStart(a)).pass);
    values.floor.push(await floor.cold('f', count, 0));
    await floor.run('drop');
    while (sh('ip -n f0 -o link').includes('eth0')) await sleep(10);
    await sleep(500);
    if (round > 0) continue;
    sh(iproute.network('byhand', 7_000_000));
    const each = Array.from({ length: count }, (_, n) => n);
    let ms = batch('ip', 'byhand', each.map((n) => iproute.hostEnd(n, `i${n}`)).join('\n'));
    ms += batch('bridge', 'byhand', each.map((n) => iproute.hostFdb(n)).join('\n'));
    for (const n of each) ms += batch('ip', `i${n}`, iproute.inside(n));
    values.iproute.push(ms);
    sh('ip netns del byhand');
    await sleep(500);
  }
  const bench = `cold, ${count} local`;
  report({ bench, what: 'warren', unit: 'ms', values: values.pass });
  report({ bench, what: 'floor', unit: 'ms', values: values.floor });
  report({ bench, what: 'ip -batch', unit: 'ms', values: values.iproute });
  report({ bench, what: 'warren, with its own start', unit: 'ms', values: values.wall });
  report({ bench, what: 'warren, nothing to do', unit: 'ms', values: values.adopt });
  report({ bench: `memory, ${count} local`, what: 'agent RSS, cold', unit: 'MB', values: values.rss });
  floor.stop();
};

export const coldRemote: Bench = async ({ a, b }, report, quick) => {
  const count = quick ? 2000 : 10_000;
  const floor = new Floor(a);
  const client = await a.startAgent();
  await a.said('in the cluster');
  const network = (await createApp(client)) as Network;
  for (const prefix of ['w', 'f']) await floor.run(`netns ${prefix} 1`);
  await attachTo(client, 'w0');
  client.close();
  await a.stopAgent();
  await populate(network.id, nodeIdOf(b) as NodeId, count);
  const values: Record<'pass' | 'wall' | 'rss' | 'adopt' | 'floor' | 'iproute', number[]> = {
    pass: [],
    wall: [],
    rss: [],
    adopt: [],
    floor: [],
    iproute: [],
  };
  for (let round = 0; round < (quick ? 2 : 5); round++) {
    await wipe();
    const cold = await coldStart(a);
    values.pass.push(cold.pass);
    values.wall.push(cold.wall);
    values.rss.push(cold.rss);
    await a.stopAgent();
    values.adopt.push((await coldStart(a)).pass);
    await a.stopAgent();
    values.floor.push(await floor.cold('f', 1, count));
    await floor.run('drop');
    await sleep(500);
    sh(iproute.network('byhand', 7_000_000));
    const each = Array.from({ length: count }, (_, n) => n);
    const neighs = batch('ip', 'byhand', each.map(iproute.remoteNeigh).join('\n'));
    values.iproute.push(neighs + batch('bridge', 'byhand', each.map(iproute.remoteFdb).join('\n')));
    sh('ip netns del byhand');
    await sleep(500);
  }
  const bench = `cold, ${count} remote`;
  report({ bench, what: 'warren', unit: 'ms', values: values.pass });
  report({ bench, what: 'floor', unit: 'ms', values: values.floor });
  report({ bench, what: 'ip -batch, bridge -batch', unit: 'ms', values: values.iproute });
  report({ bench, what: 'warren, with its own start', unit: 'ms', values: values.wall });
  report({ bench, what: 'warren, nothing to do', unit: 'ms', values: values.adopt });
  report({ bench: `memory, ${count} remote`, what: 'agent RSS, cold', unit: 'MB', values: values.rss });
  floor.stop();
};

/** Endpoints of another host, written as its agent would, past the agent. */
async function populate(id: Network['id'], node: NodeId, count: number): Promise<void> {
  const store = openStore(storeUrl, 'default');
  try {
    const facts = { underlay: '10.77.0.2', underlayMtu: 1500, routes: [], version: '0' } as unknown as Parameters<
      typeof store.nodeStart
    >[1];
    const { epoch } = await store.nodeStart(node, facts, 3_600_000);
    const network = await store.networkJoin(id, node);
    for (let from = 0; from < count; from += 256) {
      await Promise.all(
        Array.from({ length: Math.min(256, count - from) }, async (_, at) => {
          const endpoint = newId<'endpoint'>() as EndpointId;
          const n = from + at;
          await store.endpointAttach(network, {
            id: endpoint,
            network: id,
            node,
            epoch,
            name: `far-${n}`,
            addresses: [],
            mac: endpointMac(endpoint),
            netns: `/run/netns/far${n}`,
            born: { boot: 'another', dev: 4, inode: 1_000_000 + n },
            ifname: 'eth0',
            defaultRoute: true,
            backend: null,
            labels: {},
            createdAt: new Date().toISOString(),
          });
        }),
      );
    }
  } finally {
    await store.close();
  }
}
