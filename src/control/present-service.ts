import type { IpvsDest } from '../kernel/state.ts';
import type { Endpoint } from '../model/endpoint.ts';
import type { Nodes } from '../model/node.ts';
import { healthText } from '../model/parse-service.ts';
import type { Service } from '../model/service.ts';
import { isServing } from '../model/service.ts';
import type { View } from '../model/view.ts';

export type BackendJson = ReturnType<typeof backendJson>;
export type ServiceJson = ReturnType<typeof serviceJson>;

/** What `--json` shows of a service; the field names are the contract. Connections are those balanced by the node asked. */
export function serviceJson(
  view: View,
  service: Service,
  backends: readonly Endpoint[],
  down: Nodes,
  balanced: readonly IpvsDest[],
) {
  const { id, name, vips, ports, scheduler, affinity, health, publish, publishMode, publishFrom, labels } = service;
  const { interval, timeout, retries, startPeriod } = health;
  return {
    id,
    name,
    network: view.networks.get(service.network)?.name ?? service.network,
    vips,
    ports,
    scheduler,
    mode: 'vip',
    affinity,
    health: healthText(health),
    healthCheck: { interval, timeout, retries, startPeriod },
    publish: publish.map(({ ip = null, port, vipPort, proto }) => ({ ip, port, vipPort, proto, mode: publishMode })),
    publishFrom,
    backends: backends
      .map((endpoint) => backendJson(view, service, endpoint, down, balanced))
      .sort((a, b) => a.endpoint.localeCompare(b.endpoint)),
    labels,
    createdAt: service.createdAt,
  };
}

function backendJson(view: View, service: Service, endpoint: Endpoint, down: Nodes, balanced: readonly IpvsDest[]) {
  const { name, node, addresses, state, backend } = endpoint;
  const mine = balanced.filter(({ address }) => addresses.some((ip) => ip === address));
  const serving = isServing(service, endpoint, down);
  return {
    endpoint: name,
    id: endpoint.id,
    node: view.nodes.get(node)?.name ?? node,
    address: addresses[0] ?? null,
    addresses,
    state,
    healthy: service.health.check === 'none' ? state !== 'starting' : (backend?.healthy ?? false),
    weight: serving ? (backend?.weight ?? 1) : 0,
    activeConnections: mine.reduce((sum, { counters }) => sum + (counters?.activeConnections ?? 0), 0),
  };
}
