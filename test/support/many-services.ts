/**
 * Services with backends on a host that exists only in the store, written as an agent there would, and kept alive:
 * `node --import tsx test/support/many-services.ts STORE NETWORK SERVICES BACKENDS`. Says `written`, and goes on.
 */
import { endpointMac } from '../../src/model/endpoint.ts';
import { newId } from '../../src/model/id.ts';
import type { Ip } from '../../src/model/ip.ts';
import { openStore } from '../../src/store/redis.ts';

const [url = '', name = '', services = '1', backends = '1'] = process.argv.slice(2);
const store = openStore(url, 'default');
const createdAt = new Date().toISOString();
const facts = { underlay: '10.77.0.99' as Ip, underlayMtu: 1500, routes: [], version: '0' };
const { id: node } = await store.nodeRegister({
  id: newId(),
  name: 'far',
  role: 'worker',
  joinedAt: createdAt,
  ...facts,
});
const { epoch } = await store.nodeStart(node, facts, 60_000);
setInterval(() => void store.nodeRenew(node, epoch, 60_000), 500);
const delta = await store.registrySince(undefined);
const known = delta.kind === 'snapshot' ? delta.snapshot.networks.find((each) => each.name === name) : undefined;
if (!known) throw new Error(`no network ${name}`);
const network = await store.networkJoin(known.id, node);
let inode = 1;

async function backend(service: Awaited<ReturnType<typeof store.serviceCreate>>, n: number): Promise<void> {
  const id = newId<'endpoint'>();
  await store.endpointAttach(network, {
    ...{ id, network: network.id, node, epoch, name: `${service.name}-${n}`, addresses: [], mac: endpointMac(id) },
    ...{ netns: `/run/netns/${id}`, born: { boot: 'another', dev: 4, inode: inode++ }, ifname: 'eth0' },
    ...{ defaultRoute: true, backend: { service: service.id, weight: 1, healthy: true }, labels: {}, createdAt },
  });
  await store.endpointReady(network.id, id, epoch);
}

for (let s = 0; s < Number(services); s++) {
  const service = await store.serviceCreate(network, {
    ...{
      id: newId<'service'>(),
      network: network.id,
      name: `s${s}`,
      vips: [],
      scheduler: 'wrr',
      affinity: 0,
      labels: {},
    },
    ...{
      ports: [{ port: 80, target: 8080, proto: 'tcp' as const }],
      publish: [],
      publishMode: 'ingress',
      publishFrom: [],
    },
    ...{ health: { check: 'none', interval: 2000, timeout: 1000, retries: 2, startPeriod: 0 }, createdAt },
  });
  // Not all at once: a store answers them one after the other, and whoever waits too long gives up.
  for (let n = 0; n < Number(backends); n += 50)
    await Promise.all(Array.from({ length: Math.min(50, Number(backends) - n) }, (_, i) => backend(service, n + i)));
}
process.stdout.write('written\n');
