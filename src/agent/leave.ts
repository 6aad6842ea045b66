import { existsSync, rmdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { registryOf, withdrawNode } from '../control/nodes.ts';
import { KernelError } from '../kernel/error.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { openKernel } from '../kernel/native.ts';
import { host } from '../kernel/state.ts';
import { WarrenError } from '../model/error.ts';
import { guardTable, isOurNamespace, tableName, vxlan } from '../plan/names.ts';
import type { Config, Paths } from './config.ts';
import { readConfig } from './config.ts';
import { endDns } from './dns.ts';
import { bootId } from './facts.ts';
import { endHolder } from './holder.ts';
import { readIpsec, tidyOps, unguardOps } from './ipsec.ts';
import { takeLock } from './lock.ts';
import { stopManagedStore } from './managed-store.ts';
import { type Manager, managersBut } from './manager-client.ts';
import { type PkiPaths, pkiPaths } from './pki-files.ts';
import { AgentClient } from './protocol.ts';
import { removeResolvConfs } from './resolv-conf.ts';
import { openStoreOf } from './store-tls.ts';
import { HostSysctls } from './sysctls.ts';

export type LeaveResult = { left: boolean; node: string | null; warnings: string[] };

/**
 * This host leaves: out of the store, and nothing of ours stays here, neither in the kernel nor on disk.
 * With force it does so although endpoints live here or the store is out of reach.
 */
export async function leaveHost(paths: Paths, force: boolean): Promise<LeaveResult> {
  const config = readConfig(paths.config);
  const warnings: string[] = [];
  if (config && !force) await refuseLosses(config);
  await stopAgent(paths);
  const lock = await takeLock();
  const kernel = openKernel();
  try {
    if (config) await withdraw(config, pkiPaths(paths.stateDir), force, warnings);
    // Its sockets keep our namespaces alive.
    await endDns(paths.runDir, bootId());
    if (config) removeResolvConfs(config.node.id);
    await cleanKernel(kernel, new HostSysctls(join(paths.stateDir, 'sysctls.json')));
    await endHolder(paths.runDir, bootId());
    if (config?.managedStore) await stopManagedStore(paths, true);
    for (const path of [paths.config, paths.stateDir, paths.runDir]) rmSync(path, { recursive: true, force: true });
    removeIfEmpty(dirname(paths.config));
    return { left: config !== undefined, node: config?.node.name ?? null, warnings };
  } finally {
    lock.close();
    await kernel.close();
  }
}

async function refuseLosses(config: Config): Promise<void> {
  const store = openStoreOf(config);
  try {
    const { networks, nodes } = await registryOf(store);
    const member = networks.filter(({ members }) => members.includes(config.node.id));
    if (member.length > 0) {
      throw new WarrenError(
        'network_in_use',
        `this host has endpoints on ${member.map(({ name }) => `"${name}"`).join(', ')}`,
        'detach them first, or: warren leave --force',
      );
    }
    const others = nodes.filter(({ id }) => id !== config.node.id).length;
    if (config.managedStore && others > 0) {
      throw new WarrenError(
        'network_in_use',
        `this host runs the store of ${others} other hosts`,
        'let them leave first, or end the cluster with: warren leave --force',
      );
    }
  } finally {
    await store.close();
  }
}

async function stopAgent(paths: Paths): Promise<void> {
  if (!existsSync(paths.socket)) return;
  const agent = await AgentClient.connect(paths.socket, 0).catch(() => undefined);
  if (!agent) return; // a socket without an agent is a leftover
  const { pid } = (await agent.call('hello')) as { pid: number };
  await agent.call('stop');
  agent.close();
  for (let tries = 0; existsSync(`/proc/${pid}`) && tries < 1000; tries++)
    await new Promise((resolve) => setTimeout(resolve, 10));
}

/** Endpoints of this host, its memberships, and itself; others stop sending at once. */
async function withdraw(config: Config, pki: PkiPaths, force: boolean, warnings: string[]): Promise<void> {
  const store = openStoreOf(config);
  const self = config.node;
  try {
    const { nodes } = await registryOf(store);
    await withdrawNode(store, self.id);
    await store.nodeRemove(self.id);
    if (config.storeUsers && !config.managedStore) await endUser(pki, self, managersBut(self.id, nodes), warnings);
  } catch (error) {
    if (!force) throw error;
    warnings.push(
      `the store still has this host (${(error as Error).message}); remove it there with: warren node rm ${self.name}`,
    );
  } finally {
    await store.close();
  }
}

/** The password goes with this host's files; that is the main thing. */
async function endUser(
  pki: PkiPaths,
  { id }: Config['node'],
  managers: readonly Manager[],
  warnings: string[],
): Promise<void> {
  const { giveBack } = await import('./departure.ts');
  await giveBack(pki, id, managers).catch((error: Error) =>
    warnings.push(
      `this host’s user of the store is still there (${error.message}); end it there with: redis-cli ACL DELUSER node-${id}`,
    ),
  );
}

/** Needs no state but the names: it can clean up after any crash. */
async function cleanKernel(kernel: Kernel, sysctls: HostSysctls): Promise<void> {
  const ours = (await kernel.namespaces()).filter(isOurNamespace);
  // Until the kernel has ended a namespace its vxlan could still send, and nobody guards it from here on.
  for (const name of ours) await kernel.apply({ path: `/run/netns/${name}` }, [{ op: 'link.del', name: vxlan }]);
  await kernel.apply(
    host,
    ours.map((name) => ({ op: 'netns.del', name }) as const),
  );
  await cleanIpsec(kernel);
  const tables = [tableName, guardTable].map((name) => ({ family: 'inet', name }) as const);
  const { nft } = await kernel.read(host, { nft: tables });
  await kernel.apply(
    host,
    nft.map(({ family, name }) => ({ op: 'nft.del', family, name }) as const),
  );
  await kernel.apply(
    host,
    Object.entries(sysctls.before).map(([key, value]) => ({ op: 'sysctl.set', sysctl: { key, value } }) as const),
  );
  sysctls.forget();
  await gone(kernel);
}

async function cleanIpsec(kernel: Kernel): Promise<void> {
  const ipsec = await readIpsec(kernel).catch((error: unknown) => {
    if (error instanceof KernelError && error.code === 'EPROTONOSUPPORT') return undefined; // then there is none
    throw error;
  });
  if (ipsec) await kernel.apply(host, [...tidyOps(ipsec, () => false), ...unguardOps(ipsec)]);
}

/** Namespaces die in the background; this host is only as it was once the uplinks' host ends went with them. */
async function gone(kernel: Kernel): Promise<void> {
  for (let tries = 0; tries < 500; tries++) {
    const { links } = await kernel.read(host, { links: true });
    if (!links.some(({ name }) => /^wup\d+$/.test(name))) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function removeIfEmpty(directory: string): void {
  try {
    rmdirSync(directory);
  } catch {} // somebody else's files are in it, and stay
}
