import type { Endpoint } from '../model/endpoint.ts';
import type { EndpointId, NetworkId, ServiceId } from '../model/id.ts';
import type { Ip } from '../model/ip.ts';
import type { Network } from '../model/network.ts';
import type { Service } from '../model/service.ts';
import type { NetworkView, View } from '../model/view.ts';
import type { ViewChange } from '../store/replica.ts';

type Thing = { readonly id: EndpointId | ServiceId; readonly name: string };

/** A network's endpoints and services by what is asked for: one change costs one entry of each, however many there are. */
export class Zone {
  network: Network;
  /** Of the network's history: what it says changes with it. */
  serial = 0;
  readonly #endpoints = new Map<string, Endpoint>();
  readonly #services = new Map<string, Service>();
  readonly #byAddress = new Map<Ip, Endpoint | Service>();
  readonly #backends = new Map<ServiceId, Map<EndpointId, Endpoint>>();

  constructor({ network, revision, endpoints, services }: NetworkView) {
    this.network = network;
    this.serial = revision.n;
    for (const endpoint of endpoints.values()) this.endpoint(undefined, endpoint);
    for (const service of services.values()) this.service(undefined, service);
  }

  findEndpoint(name: string): Endpoint | undefined {
    return this.#endpoints.get(name);
  }

  findService(name: string): Service | undefined {
    return this.#services.get(name);
  }

  at(address: Ip): Endpoint | Service | undefined {
    return this.#byAddress.get(address);
  }

  backends(service: ServiceId): Iterable<Endpoint> {
    return this.#backends.get(service)?.values() ?? [];
  }

  /** One has come, gone, or become another. */
  endpoint(previous: Endpoint | undefined, value: Endpoint | undefined): void {
    if (previous) {
      this.#forget(this.#endpoints, previous, previous.addresses);
      if (previous.backend) this.#backends.get(previous.backend.service)?.delete(previous.id);
    }
    if (!value) return;
    this.#learn(this.#endpoints, value, value.addresses);
    if (!value.backend) return;
    const { service } = value.backend;
    const backends = this.#backends.get(service) ?? new Map<EndpointId, Endpoint>();
    this.#backends.set(service, backends.set(value.id, value));
  }

  service(previous: Service | undefined, value: Service | undefined): void {
    if (previous) this.#forget(this.#services, previous, previous.vips);
    if (value) this.#learn(this.#services, value, value.vips);
    else if (previous && this.#backends.get(previous.id)?.size === 0) this.#backends.delete(previous.id);
  }

  #learn<T extends Endpoint | Service>(names: Map<string, T>, thing: T, addresses: readonly Ip[]): void {
    names.set(thing.name, thing);
    for (const address of addresses) this.#byAddress.set(address, thing);
  }

  /** A name or an address may be somebody else's by now. */
  #forget(names: Map<string, Thing>, { id, name }: Thing, addresses: readonly Ip[]): void {
    if (names.get(name)?.id === id) names.delete(name);
    for (const address of addresses) if (this.#byAddress.get(address)?.id === id) this.#byAddress.delete(address);
  }
}

/** Those of all networks that are followed, kept up with the view. */
export class Zones {
  readonly #zones = new Map<NetworkId, Zone>();
  #names: ReadonlySet<string> = new Set();

  /** Is that the name of some network of the cluster? */
  readonly isNetwork = (name: string): boolean => this.#names.has(name);

  get(id: NetworkId): Zone | undefined {
    return this.#zones.get(id);
  }

  /** After anything may have happened. */
  reset({ followed, networks }: View): void {
    this.#names = namesOf(networks);
    this.#zones.clear();
    for (const [id, one] of followed) this.#zones.set(id, new Zone(one));
  }

  /** After this has. REQUIRES: the view has it already. */
  update({ followed, networks }: View, changes: readonly ViewChange[]): void {
    if (changes.some(({ scope }) => scope === 'registry')) this.#names = namesOf(networks);
    for (const { scope, change, previous, reset } of changes) {
      if (scope === 'registry') continue;
      const now = followed.get(scope);
      const zone = this.#zones.get(scope);
      if (now && (reset || !zone)) this.#zones.set(scope, new Zone(now));
      else if (change?.kind === 'endpoint') zone?.endpoint(previous as Endpoint | undefined, change.value);
      else if (change?.kind === 'service') zone?.service(previous as Service | undefined, change.value);
    }
    for (const [id, zone] of this.#zones) {
      const now = followed.get(id);
      if (!now) this.#zones.delete(id);
      else {
        zone.network = now.network;
        zone.serial = now.revision.n;
      }
    }
  }
}

function namesOf(networks: View['networks']): Set<string> {
  return new Set([...networks.values()].map(({ name }) => name));
}
