import { setTimeout as sleep } from 'node:timers/promises';
import { findEndpoint, findNetwork, findService, servicesOf } from '../control/find.ts';
import { serviceJson } from '../control/present-service.ts';
import { addBackend, createService, removeService, updateService } from '../control/services.ts';
import type { IpvsDest } from '../kernel/state.ts';
import type { Endpoint } from '../model/endpoint.ts';
import { WarrenError } from '../model/error.ts';
import { invalid } from '../model/parse.ts';
import type { Service } from '../model/service.ts';
import { backendsOf } from '../model/service.ts';
import type { View } from '../model/view.ts';
import { frontKey, frontsOf } from '../plan/desired/service.ts';
import { serviceKey } from '../plan/key.ts';
import { netnsOf } from '../plan/names.ts';
import type { Agent } from './agent.ts';
import { type Params, text, unlessAbsent } from './params.ts';
import type { Method } from './server.ts';

const defaultGraceMs = 30_000;
const lookMs = 50;

/** What the agent can be asked about services. */
export function serviceMethods(agent: Agent): Readonly<Record<string, Method>> {
  const { store, mirror, queue, reconciler } = agent;
  const fresh = async (): Promise<View> => {
    await mirror.refresh('');
    return agent.view;
  };
  const find = async (params: Params) => findService(store, await fresh(), text(params, 'service'));
  /** The kernel here has it before the caller is told. */
  const settle = async ({ network, id }: Service): Promise<void> => {
    if (reconciler.built.has(network)) await queue.done(serviceKey(network, id));
  };
  const show = async (service: Service) => {
    const { network } = service;
    const endpoints = agent.view.followed.get(network)?.endpoints.values() ?? (await store.endpoints(network));
    const backends = backendsOf(service.id, endpoints);
    return serviceJson(agent.view, service, backends, agent.resting, await balanced(agent, service));
  };

  return {
    'service.create': async (params) => {
      const service = await createService(store, await fresh(), params);
      await settle(service);
      return show(service);
    },
    'service.list': async (params) => {
      const view = await fresh();
      const network = params.network === undefined ? undefined : findNetwork(view, text(params, 'network'));
      const shown = await Promise.all((await servicesOf(store, view, network)).map(show));
      return shown.sort((a, b) => a.network.localeCompare(b.network) || a.name.localeCompare(b.name));
    },
    'service.inspect': async (params) => show(await find(params)),
    'service.backends': async (params) => (await show(await find(params))).backends,
    'service.update': async ({ service: reference, ...patch }) => {
      const service = await find({ service: reference });
      const network = findNetwork(agent.view, service.network);
      const updated = await updateService(store, network, service, patch);
      await settle(updated);
      return show(updated);
    },
    'service.remove': async (params) => {
      const service = await unlessAbsent(params, () => find(params));
      if (!service) return { removed: [] };
      await removeService(store, service);
      await settle(service);
      return { removed: [service.id] };
    },
    'service.add': async (params) => {
      const service = await find(params);
      const endpoint = await endpointOf(agent, service, text(params, 'endpoint'));
      const { weight = 1 } = params;
      if (!Number.isInteger(weight) || Number(weight) < 1 || Number(weight) > 65_535)
        throw invalid('weight must be a whole number from 1 to 65535');
      await addBackend(store, service, endpoint, Number(weight));
      await settle(service);
      return show(service);
    },
    'service.drain': async (params, signal) => {
      const service = await find(params);
      const endpoint = await endpointOf(agent, service, text(params, 'endpoint'));
      await drain(agent, service, endpoint, params, signal);
      return show(service);
    },
  };
}

async function endpointOf({ store, view }: Agent, service: Service, reference: string): Promise<Endpoint> {
  const network = view.networks.get(service.network)?.name ?? service.network;
  return findEndpoint(store, view, reference.includes('/') ? reference : `${network}/${reference}`);
}

/** No new connections from here on; returns when the old ones have ended or had their time, unless asked not to wait. */
async function drain(
  { store, mirror }: Agent,
  { id, network, name }: Service,
  endpoint: Endpoint,
  params: Params,
  signal: AbortSignal,
): Promise<void> {
  const { grace = defaultGraceMs, wait = true } = params;
  if (!Number.isInteger(grace) || Number(grace) < 0 || Number(grace) > 86_400_000)
    throw invalid('the time to drain must be from 0 to 86400 seconds');
  if (endpoint.backend?.service !== id)
    throw new WarrenError(
      'endpoint_not_found',
      `endpoint "${endpoint.name}" is no backend of service "${name}"`,
      `see: warren service ps ${name}`,
    );
  const backend = { ...endpoint.backend, grace: Number(grace) };
  const drained = (there: Endpoint | undefined) => there?.backend?.service !== id || there.state !== 'draining';
  let now = await store.endpointServe(network, endpoint.id, { expect: id, backend, state: 'draining' });
  const late = Date.now() + Number(grace) + defaultGraceMs;
  while (wait !== false && !drained(now)) {
    await sleep(lookMs, undefined, { signal });
    const followed = mirror.view?.followed.get(network);
    now = followed
      ? followed.endpoints.get(endpoint.id)
      : (await store.endpoints(network)).find((e) => e.id === endpoint.id);
    if (Date.now() > late)
      throw new WarrenError(
        'agent_unreachable',
        `endpoint "${endpoint.name}" gets no new connections, but its node does not say that the old ones have ended`,
        'is its agent running? see: warren node ls',
      );
  }
}

/** What IPVS here has of it; nothing where the network is not here, or the kernel cannot balance. */
async function balanced({ kernel, reconciler, view }: Agent, service: Service): Promise<readonly IpvsDest[]> {
  const network = view.networks.get(service.network);
  if (!network || !reconciler.built.has(network.id)) return [];
  const ipvsDestsOf = frontsOf(network, service).map(frontKey);
  const { ipvsDests } = await kernel.read(netnsOf(network.vni), { ipvsDestsOf }).catch(() => ({ ipvsDests: [] }));
  return ipvsDests;
}
