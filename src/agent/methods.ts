import * as z from 'zod';
import { auditOf } from '../control/audit.ts';
import { endpointsOf, findEndpoint, findNetwork, findNode } from '../control/find.ts';
import { clusterJson, parseLimits } from '../control/limits.ts';
import { createNetwork, updateNetwork } from '../control/networks.ts';
import { removeNode } from '../control/nodes.ts';
import { endpointJson, networkJson, nodeJson } from '../control/present.ts';
import { checkNetworks } from '../control/repair.ts';
import type { Endpoint } from '../model/endpoint.ts';
import { WarrenError } from '../model/error.ts';
import type { EndpointId } from '../model/id.ts';
import type { Network } from '../model/network.ts';
import type { Node } from '../model/node.ts';
import { parse } from '../model/parse.ts';
import type { View } from '../model/view.ts';
import type { Mirror } from '../store/mirror.ts';
import type { Agent } from './agent.ts';
import { attachEndpoint, detachEndpoint, knownNetwork } from './attach.ts';
import { encryptionOf, pairReports } from './pair-report.ts';
import { text, unlessAbsent } from './params.ts';
import { protocolVersion } from './protocol.ts';
import { resolveName } from './resolve.ts';
import type { Method } from './server.ts';
import { serviceMethods } from './service-methods.ts';
import { status } from './status.ts';
import { version } from './version.ts';

/** Everything the agent can be asked, by name. A method parses, calls one use case, and shows its result. */
export function methodsOf(agent: Agent): Readonly<Record<string, Method>> {
  const { store, mirror } = agent;
  const view = (): View => agent.view;
  const fresh = async (): Promise<View> => {
    await mirror.refresh('');
    return view();
  };
  const count = async (network: Network): Promise<number> =>
    view().followed.get(network.id)?.endpoints.size ?? store.endpointCount(network.id);
  const show = async (network: Network) => networkJson(view(), network, await count(network));
  const seen = (node: Node) => ({
    unreachable: agent.isDown(node.id),
    encryption: encryptionOf(agent.encryption.peers.get(node.id), node, agent.encryption),
  });
  const leaseOf = async (): Promise<Map<string, Awaited<ReturnType<typeof store.leases>>[number]>> =>
    new Map((await store.leases()).map((lease) => [lease.node, lease]));
  const drain = async (reference: string, drained: boolean) => {
    const { id } = findNode(await fresh(), reference);
    const node = await store.nodeDrain(id, drained);
    await mirror.refresh('');
    return nodeJson(view(), node, (await leaseOf()).get(id), seen(node));
  };
  return {
    hello: async () => ({ protocol: protocolVersion, version, pid: process.pid }),

    'network.create': async (params) => {
      const network = await createNetwork(store, await fresh(), params);
      await mirror.refresh('');
      return show(network);
    },
    'network.list': async () => Promise.all([...(await fresh()).networks.values()].sort(byName).map(show)),
    'network.inspect': async (params) => {
      const network = findNetwork(await fresh(), text(params, 'network'));
      const members = network.members.map((id) => view().nodes.get(id)?.name ?? id);
      return { ...(await show(network)), members, usage: await store.usage(network.id) };
    },
    'network.update': async (params) => {
      const network = await updateNetwork(store, await fresh(), { ...params, network: text(params, 'network') });
      await mirror.refresh('');
      return show(network);
    },
    'network.remove': async (params) => {
      const network = await unlessAbsent(params, async () => findNetwork(await fresh(), text(params, 'network')));
      if (!network) return { removed: [] };
      refuseGhosts(view(), network, params.force === true);
      await store.networkRemove(network.id, params.force === true);
      await mirror.refresh('');
      if (agent.reconciler.built.has(network.id)) await agent.queue.done(network.id);
      return { removed: [network.id] };
    },

    'endpoint.attach': async (params, signal) => {
      agent.self;
      return endpointJson(view(), await attachEndpoint(agent.deps, params, signal));
    },
    'endpoint.detach': async (params) => {
      agent.self;
      const endpoint = await unlessAbsent(params, () => whichEndpoint(agent, params));
      if (!endpoint) return { removed: [] };
      await detachEndpoint(agent.deps, endpoint);
      return { removed: [endpoint.id] };
    },
    'endpoint.list': async (params) => {
      const current = await fresh();
      const network = params.network === undefined ? undefined : findNetwork(current, text(params, 'network'));
      const endpoints = await endpointsOf(store, current, network);
      return endpoints
        .map((endpoint) => endpointJson(view(), endpoint))
        .sort((a, b) => a.network.localeCompare(b.network) || byName(a, b));
    },
    'endpoint.inspect': async (params) => {
      const endpoint = await findEndpoint(store, await fresh(), text(params, 'endpoint'));
      return { ...endpointJson(view(), endpoint), born: endpoint.born, local: endpoint.node === agent.config.node.id };
    },

    resolve: async (params) => {
      const from = params.from === undefined ? undefined : text(params, 'from');
      return resolveName(agent, await fresh(), text(params, 'name'), from);
    },
    ...serviceMethods(agent),

    'cluster.inspect': async () => clusterJson(store, (await fresh()).cluster, view().nodes.size),
    'cluster.set': async (params) => {
      await store.clusterLimit(parseLimits(params));
      await mirror.refresh('');
      return clusterJson(store, view().cluster, view().nodes.size);
    },

    'ipam.check': async (params) => {
      const { repair, network } = parse(checkWish, params, 'ipam check');
      // What this host knows of its networks counts only where it is as new as the store.
      await mirror.refresh();
      const chosen = network === undefined ? [...view().networks.values()] : [findNetwork(view(), network)];
      return checkNetworks(store, view(), chosen.sort(byName), repair);
    },

    'node.list': async () => {
      const current = await fresh();
      const leases = await leaseOf();
      return [...current.nodes.values()]
        .sort(byName)
        .map((node) => nodeJson(current, node, leases.get(node.id), seen(node)));
    },
    'node.inspect': async (params) => {
      const current = await fresh();
      const node = findNode(current, text(params, 'node'));
      const pairs = await pairReports(agent.kernel, agent.encryption);
      return {
        ...nodeJson(current, node, (await leaseOf()).get(node.id), seen(node)),
        routes: node.routes,
        pair: pairs.find(({ id }) => id === node.id) ?? null,
      };
    },
    'node.drain': async (params) => drain(text(params, 'node'), true),
    'node.activate': async (params) => drain(text(params, 'node'), false),
    'node.remove': async (params) => {
      const node = await unlessAbsent(params, async () => findNode(await fresh(), text(params, 'node')));
      if (!node) return { removed: [] };
      await removeNode(store, view(), agent.config.node.id, node, params.force === true);
      await agent.office.removed(node.id);
      await mirror.refresh();
      return { removed: [node.id] };
    },
    'audit.list': async (params) => auditOf(store, await fresh(), params),
    /** For a host that shall join. */
    'token.issue': async (params) => ({
      ...(await agent.office.admission.token(params)),
      join: agent.here.place.underlay,
    }),
    /** A person has compared fingerprints: the identity the node has now is the one it is held to from here on. */
    'node.trust': async (params) => {
      agent.self;
      const node = findNode(await fresh(), text(params, 'node'));
      return { node: node.name, id: node.id, changed: agent.encryption.forgetPin(node.id) };
    },
    /** New keys, with one node or with all. */
    rekey: async (params) => {
      agent.self;
      const current = await fresh();
      const ids = params.node === undefined ? [...current.nodes.keys()] : [findNode(current, text(params, 'node')).id];
      const done = await agent.encryption.rekey(ids);
      return done.map(({ peer, rekeyed }) => ({
        node: peer.node.name,
        id: peer.node.id,
        rekeyed,
        ...encryptionOf(peer, peer.node, agent.encryption),
      }));
    },

    status: async () => status(agent),
    sync: async () => {
      agent.self;
      await fresh();
      await agent.passAll();
      return status(agent);
    },
    /** The answer goes out before the agent does. */
    stop: async () => {
      setImmediate(() => void agent.stop());
      return { stopping: true };
    },
  };
}

const checkWish = z.strictObject({ network: z.string().optional(), repair: z.boolean().default(false) });

/** The store counts only what it has been told again since it lost writes. */
function refuseGhosts(view: View, { id, name }: Network, force: boolean): void {
  const ghosts = view.followed.get(id)?.ghosts?.size ?? 0;
  if (ghosts === 0 || force) return;
  throw new WarrenError(
    'network_in_use',
    `network "${name}" has ${ghosts} endpoints that their hosts have not told the store again`,
    'start the agents there, or remove it with --force',
  );
}

/** By NAME or ID, or by NETWORK and the namespace attached to it. What is known by heart is not looked for in the store. */
async function whichEndpoint(agent: Agent, params: Record<string, unknown>): Promise<Endpoint> {
  const { mirror, store } = agent;
  const reference = typeof params.endpoint === 'string' ? params.endpoint : undefined;
  const name = String(params.network ?? '');
  const path = String(params.netns ?? '');
  const near = reference === undefined ? knownNetwork(mirror, name) : undefined;
  const known =
    reference === undefined ? near && (await endpointAt(agent, near, path)) : knownEndpoint(mirror, reference);
  if (known) return known;
  await mirror.refresh('');
  const view = mirror.view as View;
  if (reference !== undefined) return findEndpoint(store, view, reference);
  const network = findNetwork(view, name);
  const found = await endpointAt(agent, network, path);
  if (found) return found;
  throw new WarrenError(
    'endpoint_not_found',
    `${path} is not attached to network "${network.name}"`,
    `see: warren endpoint ls --network ${network.name}`,
  );
}

/** What this node has attached a namespace as; of one that is gone only the path is left. */
async function endpointAt(agent: Agent, network: Network, path: string): Promise<Endpoint | undefined> {
  const there = await agent.kernel.identify(path);
  const endpoints = await endpointsOf(agent.store, agent.mirror.view as View, network);
  return endpoints.find(
    ({ node, born, netns }) =>
      node === agent.config.node.id && (there ? born.dev === there.dev && born.inode === there.inode : netns === path),
  );
}

/** Without asking the store: one that is followed, by its whole id. Any other reference might be another's, too. */
function knownEndpoint({ view, frozen }: Mirror, id: string): Endpoint | undefined {
  if (frozen) return undefined;
  for (const { endpoints } of view?.followed.values() ?? []) {
    const found = endpoints.get(id as EndpointId);
    if (found) return found;
  }
  return undefined;
}

function byName(a: { name: string }, b: { name: string }): number {
  return a.name.localeCompare(b.name);
}
