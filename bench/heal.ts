import { setTimeout as sleep } from 'node:timers/promises';
import type { EndpointJson } from '../src/control/present.ts';
import { openKernel } from '../src/kernel/native.ts';
import type { Op } from '../src/kernel/op.ts';
import type { Netns, NetnsState } from '../src/kernel/state.ts';
import { attachTo, createApp } from './attach.ts';
import type { Bench } from './place.ts';
import { Floor } from './rivals.ts';

type Harm = { netns: Netns; op: Op; healed: (state: NetnsState) => boolean };

/** From the harm until everything that went with the object is back, each a second after the one before. */
export const heal: Bench = async ({ a, b }, report, quick) => {
  const floors = [new Floor(a), new Floor(b)] as const;
  const clients = [await a.startAgent(), await b.startAgent()] as const;
  await Promise.all([a.said('in the cluster'), b.said('in the cluster')]);
  await createApp(clients[0]);
  for (const floor of floors) await floor.run('netns w 1');
  const here = (await attachTo(clients[0], 'w0', { name: 'here' })) as unknown as EndpointJson;
  const far = (await attachTo(clients[1], 'w0', { name: 'far' })) as unknown as EndpointJson;
  const kernel = openKernel();
  const everything = { links: true, addrs: true, routes: true, neighs: true, fdb: true } as const;
  const nft = [{ family: 'inet', name: 'warren' }] as const;
  for (const [what, { netns, op, healed }] of Object.entries(harms(here, far))) {
    const values: number[] = [];
    const read = () => kernel.read(netns, { ...everything, nft });
    while (!healed(await read())) await sleep(10);
    for (let round = 0; round < (quick ? 3 : 20); round++) {
      await sleep(1100);
      const began = performance.now();
      await kernel.apply(netns, [op]);
      while (!healed(await read())) await sleep(1);
      values.push(performance.now() - began);
    }
    report({ bench: 'heal', what, unit: 'ms', values });
  }
  await kernel.close();
  for (const client of clients) client.close();
  for (const floor of floors) floor.stop();
};

function harms(here: EndpointJson, far: EndpointJson): Record<string, Harm> {
  const network = { path: '/run/netns/warren-1048576' };
  const end = `w${here.id.slice(0, 12)}`;
  const [four = ''] = far.addresses;
  const up = (state: NetnsState, name: string) =>
    state.links.some((link) => link.name === name && link.up === true && (name === 'br0' || link.master === 'br0'));
  const toFar = ({ fdb }: NetnsState) => fdb.filter(({ lladdr }) => lladdr === far.mac).length === 2;
  const neighbour = ({ neighs }: NetnsState) => far.addresses.every((ip) => neighs.some(({ dst }) => dst === ip));
  const gateway = ({ addrs }: NetnsState) =>
    addrs.some(({ dev, address }) => dev === 'br0' && address === '10.9.0.1/16');
  return {
    'vxlan device': {
      netns: network,
      op: { op: 'link.del', name: 'vx0' },
      healed: (state) => up(state, 'vx0') && toFar(state) && neighbour(state),
    },
    bridge: {
      netns: network,
      op: { op: 'link.del', name: 'br0' },
      healed: (state) => ['br0', 'vx0', end].every((name) => up(state, name)) && gateway(state) && toFar(state),
    },
    'FDB entry': {
      netns: network,
      op: { op: 'fdb.del', fdb: { dev: 'vx0', lladdr: far.mac, via: 'self' } },
      healed: toFar,
    },
    neighbour: {
      netns: network,
      op: { op: 'neigh.del', neigh: { dev: 'vx0', dst: four, lladdr: far.mac } },
      healed: neighbour,
    },
    'host end of a veth pair': {
      netns: network,
      op: { op: 'link.del', name: end },
      healed: (state) => up(state, end),
    },
    'address in a container': {
      netns: { path: '/run/netns/w0' },
      op: { op: 'addr.del', addr: { dev: 'eth0', address: `${here.addresses[0]}/16` } },
      healed: ({ addrs }) => addrs.some(({ address }) => address === `${here.addresses[0]}/16`),
    },
    'nft table': {
      netns: network,
      op: { op: 'nft.del', family: 'inet', name: 'warren' },
      healed: (state) => state.nft.length === 1,
    },
  };
}
