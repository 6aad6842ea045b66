import { memoryWarnings } from '../control/memory.ts';
import { nodeJson } from '../control/present.ts';
import type { Agent } from './agent.ts';
import { warningOf } from './drops.ts';
import { featuresOf } from './features.ts';
import { pairReports } from './pair-report.ts';
import { trackingWarnings } from './tracking.ts';
import { upgradeWarnings } from './upgrade.ts';
import { version } from './version.ts';

/** What `warren status` shows: this host, its store, its last pass, what its kernel can do. */
export async function status(agent: Agent) {
  const { dns, here, store, mirror, passes, queue, encryption, dropWatch } = agent;
  const view = mirror.view;
  const node = view?.nodes.get(agent.config.node.id);
  const [leases, memory] = store.connected
    ? await Promise.all([store.leases().catch(() => []), store.memory().catch(() => undefined)])
    : [[], undefined];
  const lease = leases.find((candidate) => candidate.node === agent.config.node.id);
  const local = [...(view?.followed.values() ?? [])]
    .flatMap(({ endpoints }) => [...endpoints.values()])
    .filter((e) => e.node === agent.config.node.id);
  return {
    node: view && node ? nodeJson(view, node, lease) : { id: agent.config.node.id, name: agent.config.node.name },
    cluster: { id: view?.cluster.id ?? null, name: agent.config.cluster },
    store: {
      url: store.url,
      connected: store.connected,
      revision: view?.revision.n ?? null,
      lagMs: store.lagMs ?? null,
      layout: agent.upgrade.layout ?? null,
      memory: memory ? { used: memory.used, limit: memory.most || null } : null,
      synced: agent.synced,
      frozen: mirror.frozen,
      recoveredAt: agent.recovery.recoveredAt,
      conflicts: agent.recovery.conflicts,
    },
    networks: view?.networks.size ?? 0,
    endpoints: local.length,
    reconcile: { ...passes.record, pending: queue.pending },
    encryption: {
      able: encryption.trouble === undefined,
      trouble: encryption.trouble?.message ?? null,
      ciphers: encryption.abilities?.ciphers ?? [],
      fastAes: encryption.abilities?.fastAes ?? null,
      holder: holderJson(encryption),
      peers: await pairReports(agent.kernel, encryption),
      drops: dropWatch.drops,
    },
    dns: {
      up: dns.pid !== undefined,
      pid: dns.pid ?? null,
      networks: dns.serving.length,
      trouble: dns.trouble ?? null,
    },
    kernel: { features: await featuresOf(agent.kernel) },
    warnings: [
      ...(here.trouble ? [here.trouble] : []),
      ...upgradeWarnings(agent.upgrade.behind),
      ...dropWatch.drops.map(warningOf),
      ...(await trackingWarnings(agent.kernel, local)),
      ...(memory ? memoryWarnings(memory) : []),
    ],
    agent: { version, pid: process.pid, startedAt: agent.startedAt },
  };
}

/** Of the socket for ESP in UDP: null while nobody needs one. */
function holderJson({ holder }: Agent['encryption']) {
  if (!holder?.up && !holder?.trouble) return null;
  return { up: holder.up, pid: holder.pid ?? null, trouble: holder.trouble?.message ?? null };
}
