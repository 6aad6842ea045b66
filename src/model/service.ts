import type { Endpoint } from './endpoint.ts';
import type { NetworkId, ServiceId } from './id.ts';
import type { Cidr, Ip } from './ip.ts';
import type { Nodes } from './node.ts';

export type Proto = 'tcp' | 'udp';
/** Of IPVS (ipvsadm(8), -s). */
export const schedulers = ['rr', 'wrr', 'lc', 'wlc', 'sh', 'mh', 'sed', 'nq'] as const;
export type Scheduler = (typeof schedulers)[number];

/** Clients call `port` of a virtual IP; backends listen on `target`. */
export type ServicePort = { readonly port: number; readonly target: number; readonly proto: Proto };

/** How a backend's own node finds out whether it serves. Times are milliseconds. */
export type HealthCheck = {
  readonly check: 'none' | 'tcp' | 'http' | 'exec';
  /** Of http: where to ask; any answer from 200 to 399 will do. */
  readonly path?: string;
  /** Of exec: for `sh -c`, in the backend's network namespace; exit 0 will do. */
  readonly command?: string;
  readonly interval: number;
  readonly timeout: number;
  /** So many failures in a row make a healthy backend unhealthy. */
  readonly retries: number;
  /** Failures so soon after its start are not counted. */
  readonly startPeriod: number;
};

/** A port that hosts listen on for a service. */
export type Publish = {
  /** Only on this address of the host's; absent: all of them. */
  readonly ip?: Ip;
  readonly port: number;
  /** Which of the service's ports it leads to. */
  readonly vipPort: number;
  readonly proto: Proto;
};

export type Service = {
  readonly id: ServiceId;
  readonly network: NetworkId;
  readonly name: string;
  /** One per family of the network, IPv4 first. */
  readonly vips: readonly Ip[];
  readonly ports: readonly ServicePort[];
  readonly scheduler: Scheduler;
  /** Seconds for which a client is led to the same backend; 0: each connection is balanced. */
  readonly affinity: number;
  readonly health: HealthCheck;
  readonly publish: readonly Publish[];
  /** ingress: every node leads to every backend; host: nodes with backends lead to their own. */
  readonly publishMode: 'ingress' | 'host';
  /** Clients that published ports answer; empty: all. */
  readonly publishFrom: readonly Cidr[];
  readonly labels: Readonly<Record<string, string>>;
  readonly createdAt: string;
};

/** Endpoints that belong to a service, whatever their state. */
export function backendsOf(service: ServiceId, endpoints: Iterable<Endpoint>): Endpoint[] {
  const found: Endpoint[] = [];
  for (const endpoint of endpoints) if (endpoint.backend?.service === service) found.push(endpoint);
  return found;
}

/** Of all services: each endpoint is looked at once. */
export function backendsByService(endpoints: Iterable<Endpoint>): Map<ServiceId, Endpoint[]> {
  const found = new Map<ServiceId, Endpoint[]>();
  for (const endpoint of endpoints) {
    const service = endpoint.backend?.service;
    if (!service) continue;
    const others = found.get(service);
    if (others) others.push(endpoint);
    else found.set(service, [endpoint]);
  }
  return found;
}

/** Does it get new connections? `down`: nodes that get nothing new. */
export function isServing(service: Service, { backend, state, node }: Endpoint, down: Nodes): boolean {
  if (backend?.service !== service.id || state !== 'ready' || down.has(node)) return false;
  return service.health.check === 'none' || backend.healthy;
}
