import { attach, type Place } from '../control/endpoints.ts';
import { findNetwork } from '../control/find.ts';
import { within } from '../control/limits.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { NetnsId } from '../kernel/state.ts';
import type { Endpoint } from '../model/endpoint.ts';
import type { ErrorCode } from '../model/error.ts';
import { WarrenError } from '../model/error.ts';
import type { NetworkId, NodeId } from '../model/id.ts';
import type { Network } from '../model/network.ts';
import type { Node } from '../model/node.ts';
import type { AttachInput } from '../model/parse.ts';
import { parseAttach } from '../model/parse.ts';
import type { Service } from '../model/service.ts';
import { keysOfEndpoint, serviceKey } from '../plan/key.ts';
import type { Mirror } from '../store/mirror.ts';
import type { Store } from '../store/store.ts';
import type { Encryption } from './encryption.ts';
import type { Membership } from './membership.ts';
import type { Queue } from './queue.ts';
import type { Reconciler } from './reconcile.ts';
import type { Serial } from './serial.ts';

export type AttachDeps = {
  kernel: Kernel;
  store: Store;
  mirror: Mirror;
  queue: Queue;
  reconciler: Reconciler;
  self: () => Node;
  boot: string;
  /** One attach at a time per namespace, so that two do not choose the same interface name. */
  serial: Serial;
  membership: Membership;
  encryption: Encryption;
  /** Does this node find that one dead? */
  isDown: (node: NodeId) => boolean;
  /** Resolves when endpoints of a network here can ask for names, or it is clear that they cannot yet. */
  namesServed: (network: NetworkId) => Promise<void>;
};

/**
 * Writes the wish, makes this kernel follow, and says ready. On failure the wish is withdrawn and the same
 * reconciling tidies up: there is no undo code.
 */
export async function attachEndpoint(deps: AttachDeps, input: unknown, signal: AbortSignal): Promise<Endpoint> {
  const wish = parseAttach(input);
  const known = knownNetwork(deps.mirror, wish.network);
  try {
    if (known) return await attachTo(deps, known, wish, signal);
  } catch (error) {
    if (!(error instanceof WarrenError && outdated.has(error.code))) throw error;
  }
  await deps.mirror.refresh('');
  const { view } = deps.mirror;
  if (!view)
    throw new WarrenError(
      'store_unreachable',
      'the store has not been reached since the agent started',
      'see: warren status',
    );
  return attachTo(deps, findNetwork(view, wish.network), wish, signal);
}

/** A network that is followed, so that whatever happens to it is told: there is no need to ask the store for it first. */
export function knownNetwork({ view, frozen }: Mirror, reference: string): Network | undefined {
  if (frozen) return undefined;
  const name = reference.toLowerCase();
  for (const { network } of view?.followed.values() ?? []) if (network.name === name) return network;
  return view?.followed.get(reference as NetworkId)?.network;
}

/** What is refused by what was known: it may have been removed and made again, or have grown, a moment ago. */
const outdated: ReadonlySet<ErrorCode> = new Set(['network_not_found', 'invalid_input']);

async function attachTo(deps: AttachDeps, network: Network, wish: AttachInput, signal: AbortSignal): Promise<Endpoint> {
  const { encryption, kernel, membership, reconciler, serial } = deps;
  refuseDrained(deps);
  encryption.require(network);
  if (!network.encrypted && deps.self().local) throw clearBehindNat(network);
  const { ended } = serial;
  // Asked for together, as each asking has its price; what it has is looked at again where it may have changed since.
  const looked = reconciler.sweeping(wish.netns) ? undefined : look(kernel, wish.netns).catch(() => undefined);
  const netns = await kernel.identify(wish.netns);
  if (!netns) throw absent(wish.netns);
  return membership.during(network, (joined) =>
    serial.run(`${netns.dev}:${netns.inode}`, async () => {
      const seen = await looked;
      return attachHere(deps, joined, wish, netns, serial.ended === ended ? seen : undefined, signal);
    }),
  );
}

function refuseDrained({ mirror, self }: AttachDeps): void {
  const { id, name } = self();
  if (!mirror.view?.nodes.get(id)?.drained) return;
  throw new WarrenError(
    'node_drained',
    `this host is drained: it takes no new endpoints`,
    `to let it: warren node activate ${name}`,
  );
}

/** Others would get it from another address and port, and answer to a port that leads nowhere. */
function clearBehindNat({ name }: Network): WarrenError {
  return new WarrenError(
    'behind_nat',
    `network "${name}" is not encrypted, and this host is behind a NAT`,
    'only ESP in UDP passes it: use a network that is encrypted',
  );
}

async function attachHere(
  deps: AttachDeps,
  network: Network,
  wish: AttachInput,
  netns: NetnsId,
  seen: Seen | undefined,
  signal: AbortSignal,
): Promise<Endpoint> {
  const { store, mirror, queue, reconciler } = deps;
  const service = wish.service === undefined ? undefined : await joining(deps, network, wish.service);
  const again = existing(mirror, network, wish, netns);
  if (again) return again;
  await reconciler.swept(wish.netns);
  const place = { boot: deps.boot, ...netns, ...(seen ?? (await look(deps.kernel, wish.netns))) };
  const endpoint = await within(
    store,
    mirror.view?.cluster ?? {},
    'endpoints',
    () => attach(store, deps.self(), network, wish, place, service),
    ({ id }) => store.endpointDetach(network.id, id),
  );
  const here = () => mirror.view?.followed.get(network.id)?.endpoints.get(endpoint.id);
  try {
    if (!here()) await mirror.refresh(network.id);
    const keys = reconciler.keysFor(network.id, keysOfEndpoint(endpoint.node, undefined, endpoint));
    await Promise.all(keys.map((key) => queue.done(key)));
    // The first one here: the host has to let the network out.
    if (keys.includes(network.id)) await Promise.all([queue.done('node'), deps.namesServed(network.id)]);
    await deps.encryption.agreed(network, (node) => !deps.isDown(node));
    if (!here()) throw removed(network, endpoint);
    if (signal.aborted) throw new WarrenError('agent_unreachable', 'the caller hung up');
    const ready = await store.endpointReady(network.id, endpoint.id, deps.self().epoch);
    // Known here, and on disk, before the caller is told: a crash and a store that lost it later do not undo it.
    if (here()?.state !== 'ready') await mirror.refresh(network.id);
    if (service) await queue.done(serviceKey(network.id, service.id));
    return ready;
  } catch (error) {
    await detachEndpoint(deps, endpoint).catch(() => {}); // the store may be what failed; then the queue tries again
    throw error;
  }
}

/** Others first (they stop sending), then this kernel. Gone already is as good. */
export async function detachEndpoint(deps: AttachDeps, endpoint: Endpoint): Promise<void> {
  const { store, mirror, queue, reconciler } = deps;
  await store.endpointDetach(endpoint.network, endpoint.id);
  if (mirror.view?.followed.get(endpoint.network)?.endpoints.has(endpoint.id)) await mirror.refresh(endpoint.network);
  if (endpoint.node !== deps.self().id) return;
  const keys = reconciler.keysFor(endpoint.network, keysOfEndpoint(endpoint.node, endpoint, undefined));
  await Promise.all(keys.map((key) => queue.done(key)));
  await deps.membership.leaveIfEmpty(endpoint.network);
}

/**
 * Endpoints of ours that nobody is attaching any more: the store took the wish, but could not be told that its attach had
 * failed, or the agent died in the middle of it.
 */
export async function withdrawAbandoned(deps: AttachDeps, network: NetworkId): Promise<void> {
  const abandoned = (): Endpoint[] =>
    deps.membership.entering(network)
      ? []
      : [...(deps.mirror.view?.followed.get(network)?.endpoints.values() ?? [])].filter(
          ({ node, state }) => node === deps.self().id && state === 'starting',
        );
  if (abandoned().length === 0) return;
  // What looks so may be ready by now.
  await deps.mirror.refresh(network);
  await Promise.all(abandoned().map((endpoint) => detachEndpoint(deps, endpoint)));
}

/** REQUIRES: the network is followed. */
async function joining({ mirror }: AttachDeps, network: Network, reference: string): Promise<Service> {
  const find = () =>
    [...(mirror.view?.followed.get(network.id)?.services.values() ?? [])].find(
      ({ name, id }) => name === reference || id === reference,
    );
  const known = find();
  if (known) return known;
  await mirror.refresh(network.id);
  const found = find();
  if (found) return found;
  throw new WarrenError(
    'service_not_found',
    `network "${network.name}" has no service "${reference}"`,
    `make it: warren service create ${reference} --network ${network.name} --port PORT`,
  );
}

function existing(mirror: Mirror, network: Network, wish: AttachInput, netns: NetnsId): Endpoint | undefined {
  if (!wish.ifNotExists) return undefined;
  const endpoints = mirror.view?.followed.get(network.id)?.endpoints.values() ?? [];
  const found = [...endpoints].find(({ born }) => born.dev === netns.dev && born.inode === netns.inode);
  if (!found) return undefined;
  if (wish.name === undefined || wish.name === found.name) return found;
  throw new WarrenError(
    'netns_attached',
    `${wish.netns} is attached to network "${network.name}" as "${found.name}"`,
    `detach it first: warren detach ${network.name}/${found.name}`,
  );
}

/** What a namespace has before the attach. */
type Seen = Pick<Place, 'ifnames' | 'hasDefaultRoute'>;

async function look(kernel: Kernel, path: string): Promise<Seen> {
  const { links, routes } = await kernel.read({ path }, { links: true, routes: true });
  return {
    ifnames: links.map(({ name }) => name),
    hasDefaultRoute: routes.some(({ dst, table = 254 }) => dst.endsWith('/0') && table === 254),
  };
}

function removed(network: Network, endpoint: Endpoint): WarrenError {
  return new WarrenError(
    'network_closing',
    `endpoint "${endpoint.name}" was removed from network "${network.name}" while it was being attached`,
  );
}

function absent(path: string): WarrenError {
  const pid = /^\/proc\/(\d+)\/ns\/net$/.exec(path)?.[1];
  if (pid) return new WarrenError('pid_not_found', `no process ${pid}`, 'give the pid of a running process');
  return new WarrenError(
    'netns_not_found',
    `no network namespace at ${path}`,
    `make it with: ip netns add ${path.slice(path.lastIndexOf('/') + 1)}`,
  );
}
