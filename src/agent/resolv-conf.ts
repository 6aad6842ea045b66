import { mkdirSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { dnsOf, resolvConf } from '../model/dns.ts';
import type { Endpoint } from '../model/endpoint.ts';
import type { EndpointId, NodeId } from '../model/id.ts';
import type { View } from '../model/view.ts';
import type { ViewChange } from '../store/replica.ts';
import type { Log } from './log.ts';

const root = '/etc/netns';

/*
 * /etc/netns/NAME/resolv.conf, which `ip netns exec` puts in the place of the host's (ip-netns(8)). Ours begin with
 *   # warren NODE-ID, [with its directory, ][with /etc/netns, ]until this namespace is detached
 * and what is named there was made for it, and goes with it where nothing else is in it.
 */
const mark = (self: NodeId): string => `# warren ${self}, `;
const withDirectory = 'with its directory, ';
const withRoot = `with ${root}, `;
const markEnd = 'until this namespace is detached\n';

/** Sees to it that named namespaces that are attached here ask for names at their networks. Where somebody has a file, it stays. */
export class ResolvConf {
  readonly #self: NodeId;
  readonly #log: Log;
  /** Endpoints here by the name of their namespace, which may be on several networks. */
  readonly #local = new Map<string, Map<EndpointId, Endpoint>>();
  #madeRoot = false;

  constructor(self: NodeId, log: Log) {
    this.#self = self;
    this.#log = log;
  }

  changed(view: View, { change, previous, reset }: ViewChange): void {
    if (reset) this.sync(view);
    if (reset || change?.kind !== 'endpoint') return;
    const names = [this.#forget(previous as Endpoint | undefined), this.#learn(change.value)];
    for (const name of new Set(names)) this.#put(name, view);
  }

  /** All of them: also what an agent before left behind. */
  sync(view: View): void {
    const before = ours(this.#self);
    this.#madeRoot = before.some((name) => headOf(name)?.includes(withRoot));
    this.#local.clear();
    for (const { endpoints } of view.followed.values())
      for (const endpoint of endpoints.values()) this.#learn(endpoint);
    for (const name of new Set([...before, ...this.#local.keys()])) this.#put(name, view);
  }

  #learn(endpoint: Endpoint | undefined): string | undefined {
    const name = this.#nameOf(endpoint);
    if (!endpoint || name === undefined || endpoint.state !== 'ready') return undefined;
    const there = this.#local.get(name) ?? new Map<EndpointId, Endpoint>();
    this.#local.set(name, there.set(endpoint.id, endpoint));
    return name;
  }

  #forget(endpoint: Endpoint | undefined): string | undefined {
    const name = this.#nameOf(endpoint);
    if (!endpoint || name === undefined) return undefined;
    const there = this.#local.get(name);
    there?.delete(endpoint.id);
    if (there?.size === 0) this.#local.delete(name);
    return name;
  }

  /** undefined: it is not here, or its namespace has no name. */
  #nameOf(endpoint: Endpoint | undefined): string | undefined {
    if (endpoint?.node !== this.#self) return undefined;
    return /^(?:\/var)?\/run\/netns\/([^/]+)$/.exec(endpoint.netns)?.[1];
  }

  /** The network that the namespace was attached to first is asked. */
  #put(name: string | undefined, view: View): void {
    if (name === undefined) return;
    const [first] = [...(this.#local.get(name)?.values() ?? [])].sort((a, b) => a.createdAt.localeCompare(b.createdAt));
    const network = first && view.networks.get(first.network);
    try {
      if (network) this.#write(name, resolvConf(dnsOf(network)));
      else remove(name, this.#self);
    } catch (error) {
      this.#log.warn('resolv.conf cannot be kept', { netns: name, error: (error as Error).message });
    }
  }

  #write(name: string, text: string): void {
    const head = headOf(name);
    if (head !== undefined && !head.startsWith(mark(this.#self))) return;
    const made = mkdirSync(join(root, name), { recursive: true });
    this.#madeRoot ||= made === root;
    const directory = made !== undefined || head?.includes(withDirectory) === true ? withDirectory : '';
    writeFileSync(fileOf(name), `${mark(this.#self)}${directory}${this.#madeRoot ? withRoot : ''}${markEnd}${text}`);
  }
}

/** When the host leaves. */
export function removeResolvConfs(self: NodeId): void {
  for (const name of ours(self)) remove(name, self);
}

function remove(name: string, self: NodeId): void {
  const head = headOf(name);
  if (!head?.startsWith(mark(self))) return;
  rmSync(fileOf(name));
  if (head.includes(withDirectory)) removeIfEmpty(join(root, name));
  if (head.includes(withRoot)) removeIfEmpty(root);
}

function ours(self: NodeId): string[] {
  try {
    return readdirSync(root).filter((name) => headOf(name)?.startsWith(mark(self)));
  } catch {
    return []; // there is no such directory
  }
}

const fileOf = (name: string): string => join(root, name, 'resolv.conf');

/** Its first line; undefined: there is no such file. */
function headOf(name: string): string | undefined {
  try {
    return readFileSync(fileOf(name), 'utf8').split('\n', 1)[0];
  } catch {
    return undefined;
  }
}

function removeIfEmpty(directory: string): void {
  try {
    rmdirSync(directory);
  } catch {} // somebody else's files are in it, and stay
}
