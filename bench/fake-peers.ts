/**
 * Nodes that exist only in the store and here: they agree on keys as any agent does (agent/pairs.ts), with a kernel that is a
 * map. `node --import tsx bench/fake-peers.ts STORE NETWORK COUNT`: says `ready` when all are members, and goes on.
 */
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import type { Holder } from '../src/agent/holder.ts';
import type { Log } from '../src/agent/log.ts';
import { PairFiles } from '../src/agent/pair-files.ts';
import { Pairs } from '../src/agent/pairs.ts';
import { Pins } from '../src/agent/pins.ts';
import type { Kernel } from '../src/kernel/kernel.ts';
import type { Op } from '../src/kernel/op.ts';
import type { Policy, Sa } from '../src/kernel/state.ts';
import { newIdentity } from '../src/keys/identity.ts';
import { usualLimits } from '../src/keys/rotation.ts';
import { newId } from '../src/model/id.ts';
import type { Ip } from '../src/model/ip.ts';
import type { View } from '../src/model/view.ts';
import { policyName } from '../src/plan/diff.ts';
import { nothing } from '../src/plan/scope.ts';
import { openStore } from '../src/store/redis.ts';

const [url = '', name = '', count = '1'] = process.argv.slice(2);
const silent = { debug() {}, info() {}, warn() {}, error() {} } as unknown as Log;
const counters = {
  bytes: 0,
  packets: 0,
  addTime: 1,
  oseq: 0,
  seq: 0,
  replayWindow: 0,
  replay: 0,
  integrityFailed: 0,
};

function fakeKernel(): Kernel {
  const sas = new Map<string, Sa>();
  const policies = new Map<string, Policy>();
  const one = (op: Op): void => {
    if (op.op === 'sa.add') sas.set(`${op.sa.dst} ${op.sa.spi}`, { ...op.sa, counters });
    if (op.op === 'sa.del') sas.delete(`${op.sa.dst} ${op.sa.spi}`);
    if (op.op === 'policy.set') policies.set(policyName(op.policy), op.policy);
    if (op.op === 'policy.del') policies.delete(policyName(op.policy));
  };
  return {
    read: async () => ({ ...nothing, sas: [...sas.values()], policies: [...policies.values()] }),
    apply: async (_: unknown, ops: readonly Op[]) => ops.forEach(one),
  } as unknown as Kernel;
}

const store = openStore(url, 'default');
const scratch = mkdtempSync('/run/fake-peers-');
const snapshotOf = async () => {
  const delta = await store.registrySince(undefined);
  if (delta.kind !== 'snapshot') throw new Error('no snapshot');
  return delta;
};
const { snapshot } = await snapshotOf();
const network = snapshot.networks.find((each) => each.name === name);
if (!network) throw new Error(`no network ${name}`);
for (let i = 0; i < Number(count); i++) {
  const identity = newIdentity();
  const facts = {
    underlay: `10.99.${i >> 8}.${i & 255}` as Ip,
    underlayMtu: 1500,
    routes: [],
    version: '0',
    identity: identity.key,
  };
  const joinedAt = new Date().toISOString();
  const { id } = await store.nodeRegister({ id: newId(), name: `f${i}`, role: 'worker', joinedAt, ...facts });
  const self = await store.nodeStart(id, facts, 600_000);
  await store.networkJoin(network.id, id);
  const here = {
    kernel: fakeKernel(),
    cluster: snapshot.cluster.id,
    identity,
    pins: new Pins(join(scratch, `${i}`), undefined),
    files: new PairFiles(join(scratch, `${i}`), 'boot'),
    holder: { up: true, want() {} } as unknown as Holder,
    abilities: { ciphers: ['chacha20-poly1305' as const], fastAes: false },
    encap: 'esp' as const,
    limits: usualLimits,
    port: 4789,
    directions: false,
  };
  const nothingToDo = () => {};
  const pairs = new Pairs(here, store, silent, () => self, nothingToDo, nothingToDo);
  store.onAnnounced(id, () => pairs.hear());
  // Only the real nodes are its peers: it is them that are measured.
  const view = async (): Promise<View> => {
    const { revision, snapshot: now } = await snapshotOf();
    const real = now.nodes.filter((node) => !/^f\d+$/.test(node.name) || node.id === id);
    const ids = new Set(real.map((node) => node.id));
    const shared = now.networks.filter((each) => each.id === network.id);
    return {
      cluster: now.cluster,
      revision,
      nodes: new Map(real.map((node) => [node.id, node])),
      networks: new Map(shared.map((each) => [each.id, { ...each, members: each.members.filter((m) => ids.has(m)) }])),
      followed: new Map(),
    };
  };
  pairs.update(await view());
}
process.stdout.write('ready\n');
