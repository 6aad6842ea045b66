import type { Endpoint } from '../model/endpoint.ts';
import { WarrenError } from '../model/error.ts';
import type { ServiceId } from '../model/id.ts';
import { newId } from '../model/id.ts';
import { contains, rangeOf, toNumber } from '../model/ip.ts';
import type { Network, Published } from '../model/network.ts';
import { invalid } from '../model/parse.ts';
import type { ServiceInput, ServicePatch } from '../model/parse-service.ts';
import { checkDefaults, healthText, parseService, parseServicePatch } from '../model/parse-service.ts';
import type { HealthCheck, Service, ServicePort } from '../model/service.ts';
import type { View } from '../model/view.ts';
import type { Store } from '../store/store.ts';
import { backendOf } from './endpoints.ts';
import { findNetwork, servicesOf } from './find.ts';
import { within } from './limits.ts';

/** Writes the wish; every node that has the network balances it. */
export async function createService(store: Store, view: View, input: unknown): Promise<Service> {
  const wish = parseService(input);
  const network = findNetwork(view, wish.network);
  if (wish.ifNotExists) {
    const existing = (await servicesOf(store, view, network)).find(({ name }) => name === wish.name);
    if (existing) return same(existing, wish);
  }
  for (const vip of wish.vips) checkVip(network, vip);
  const service = settled(wish, {
    id: newId<'service'>() as ServiceId,
    network: network.id,
    name: wish.name,
    vips: wish.vips,
    ports: wish.ports,
    scheduler: 'rr',
    affinity: 0,
    health: defaultCheck(wish.ports),
    publish: [],
    publishMode: 'ingress',
    publishFrom: [],
    labels: {},
    createdAt: new Date().toISOString(),
  });
  return within(
    store,
    view.cluster,
    'services',
    () => publishing(store, network, undefined, service, () => store.serviceCreate(network, service)),
    (made) => removeService(store, made),
  );
}

/**
 * Ports are taken before they are used, and given up after: whoever dies in between leaves one taken, not one used twice. It
 * is given up when the service is changed or removed.
 */
async function publishing(
  store: Store,
  network: Network,
  before: Service | undefined,
  after: Service,
  write: () => Promise<Service>,
): Promise<Service> {
  const [old, now] = [before ? publishedBy(before) : [], publishedBy(after)];
  if (old.length + now.length === 0) return write();
  if (now.length > 0 && network.internal)
    throw invalid(
      `service "${after.name}": network "${network.name}" is internal, nothing of it can be published`,
      'put the service on another network, or leave out --publish',
    );
  const texts = new Set(now.map((each) => JSON.stringify(each)));
  await store.networkPublish(network.id, after.id, [...now, ...old.filter((each) => !texts.has(JSON.stringify(each)))]);
  let kept = old;
  try {
    const written = await write();
    kept = now;
    return written;
  } finally {
    await store.networkPublish(network.id, after.id, kept);
  }
}

function publishedBy({ id, publish, publishMode: mode }: Service): Published[] {
  return publish.map(({ ip, port, proto }) => ({ service: id, mode, ...(ip ? { ip } : {}), port, proto }));
}

export async function removeService(store: Store, service: Service): Promise<void> {
  await store.serviceRemove(service.network, service.id);
  if (service.publish.length > 0) await store.networkPublish(service.network, service.id, []);
}

/** Labels are added to, everything else is replaced as given. */
export async function updateService(
  store: Store,
  network: Network,
  service: Service,
  input: unknown,
): Promise<Service> {
  const patch = parseServicePatch(input);
  const labels = patch.labels ? { ...service.labels, ...patch.labels } : service.labels;
  const next = settled({ ...patch, labels }, service);
  return publishing(store, network, service, next, () => store.serviceUpdate(network, next));
}

/** The endpoint becomes a backend: again after it was drained, and nothing changes when it is one. */
export async function addBackend(
  store: Store,
  service: Service,
  endpoint: Endpoint,
  weight: number,
): Promise<Endpoint> {
  if (endpoint.network !== service.network)
    throw invalid(
      `endpoint "${endpoint.name}" is not on the network of service "${service.name}"`,
      'attach it there first',
    );
  const already = endpoint.backend?.service === service.id ? endpoint.backend : undefined;
  const backend = { ...(already ?? backendOf(service, weight)), weight };
  const served = await store.endpointServe(service.network, endpoint.id, { backend, state: 'ready' });
  if (served) return served;
  throw new WarrenError('endpoint_not_found', `endpoint "${endpoint.name}" is gone`, 'see: warren endpoint ls');
}

/** What a service is after a patch, with defaults where nothing was said; refuses what cannot be. */
function settled(patch: ServicePatch | ServiceInput, service: Service): Service {
  const { health, healthInterval, healthTimeout, healthRetries, healthStart } = patch;
  const check: HealthCheck = {
    ...(health
      ? { ...checkDefaults, ...pick(service.health, 'interval', 'timeout', 'retries', 'startPeriod'), ...health }
      : service.health),
    ...(healthInterval === undefined ? {} : { interval: healthInterval }),
    ...(healthTimeout === undefined ? {} : { timeout: healthTimeout }),
    ...(healthRetries === undefined ? {} : { retries: healthRetries }),
    ...(healthStart === undefined ? {} : { startPeriod: healthStart }),
  };
  const next: Service = {
    ...service,
    name: patch.name ?? service.name,
    ports: patch.ports ?? service.ports,
    scheduler: patch.scheduler ?? service.scheduler,
    affinity: patch.affinity ?? service.affinity,
    health: check,
    publish: patch.publish ?? service.publish,
    publishMode: patch.publishMode ?? service.publishMode,
    publishFrom: patch.publishFrom ?? service.publishFrom,
    labels: patch.labels ?? service.labels,
  };
  refuseDoubles(next);
  const tcp = next.ports.some(({ proto }) => proto === 'tcp');
  if (!tcp && (check.check === 'tcp' || check.check === 'http'))
    throw invalid(
      `service "${next.name}": a ${check.check} check needs a TCP port`,
      'use --health exec:COMMAND or --health none',
    );
  return next;
}

function refuseDoubles({ name, ports, publish }: Service): void {
  const seen = new Set<string>();
  for (const { port, proto } of ports) {
    if (seen.has(`${port}/${proto}`)) throw invalid(`service "${name}": port ${port}/${proto} is given twice`);
    seen.add(`${port}/${proto}`);
  }
  for (const { vipPort, proto } of publish) {
    if (!seen.has(`${vipPort}/${proto}`))
      throw invalid(`service "${name}": it has no port ${vipPort}/${proto} to publish`, 'add it with --port');
  }
}

/** A server that does not listen yet gets no connection; of UDP nothing can be known without being told. */
function defaultCheck(ports: readonly ServicePort[]): HealthCheck {
  return { check: ports.some(({ proto }) => proto === 'tcp') ? 'tcp' : 'none', ...checkDefaults };
}

function checkVip(network: Network, vip: Service['vips'][number]): void {
  const pool = network.vipPools.find((cidr) => contains(cidr, vip));
  if (!pool)
    throw invalid(
      `network "${network.name}": ${vip} is in none of its virtual IP pools (${network.vipPools.join(', ')})`,
    );
  const { first, last } = rangeOf(pool);
  const offset = toNumber(vip) - first;
  if (offset < 1n || offset > 0x1ffen || first + offset >= last)
    throw invalid(`network "${network.name}": ${vip} cannot be a virtual IP`, `use one of the first in ${pool}`);
}

/** `--if-not-exists` forgives only a service that is as wished. */
function same(service: Service, wish: ServiceInput): Service {
  const key = (ports: readonly ServicePort[]) =>
    ports
      .map(({ port, target, proto }) => `${port}:${target}/${proto}`)
      .sort()
      .join(' ');
  const differs =
    (key(service.ports) !== key(wish.ports) && 'ports') ||
    (wish.scheduler !== undefined && wish.scheduler !== service.scheduler && 'scheduler') ||
    (wish.affinity !== undefined && wish.affinity !== service.affinity && 'affinity') ||
    (wish.health !== undefined && healthText(wish.health) !== healthText(service.health) && 'health') ||
    (wish.vips.some((vip) => !service.vips.includes(vip)) && 'virtual IPs') ||
    (wish.publish !== undefined &&
      JSON.stringify(wish.publish) !== JSON.stringify(service.publish) &&
      'published ports');
  if (!differs) return service;
  throw new WarrenError(
    'name_taken',
    `service "${service.name}" exists with other parameters (${differs})`,
    `see: warren service inspect ${service.name}`,
  );
}

function pick<Thing extends object, Field extends keyof Thing>(
  thing: Thing,
  ...fields: Field[]
): { [F in Field]: Thing[F] } {
  return Object.fromEntries(fields.map((field) => [field, thing[field]])) as { [F in Field]: Thing[F] };
}
