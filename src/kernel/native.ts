import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Secret } from '../model/secret.ts';
import { KernelError } from './error.ts';
import type { Kernel, SocketType } from './kernel.ts';
import type { Op, Visit } from './op.ts';
import type { Hint, IpvsKey, Link, Netns, NetnsId, NetnsState, Noun, Query, SaId, Selector } from './state.ts';
import { host } from './state.ts';

/** An op as the addon takes it: its key in the open. */
export type PlainOp = Plain<Op>;
type Plain<O> = O extends { readonly key: Secret } ? Omit<O, 'key'> & { readonly key: Uint8Array } : O;

/** What the .node file exports; native/addon/addon.cc is its table of contents. Wrong types throw a TypeError at once. */
export type Addon = {
  apply(visits: readonly { netns: Netns; ops: readonly PlainOp[] }[]): Promise<void>;
  read(netns: Netns, query: Query): Promise<NetnsState>;
  watch(netns: Netns, nouns: readonly Noun[], listener: (gone: boolean, hint: Hint) => void): Promise<number>;
  unwatch(id: number): void;
  identify(path: string): Promise<NetnsId | undefined>;
  namespaces(): Promise<string[]>;
  socket(netns: Netns, type: SocketType, address: string, port: number): Promise<number>;
  connections(netns: Netns, port: number): Promise<number>;
  datagram(path: string, text: string): void;
  close(): Promise<void>;
  /** The messages an op becomes, without sending them: link N has index 100 + N, every namespace descriptor is 9, every genl family 37. */
  encode(op: PlainOp): { bytes: Uint8Array; marks: { offset: number; depth: number; name: string }[] }[];
};

/** How the addon rejects. */
type Refusal = { errno: number; code: string; extack?: string; attr?: string; visit?: number; index?: number };

/** Where what was compiled is: seen from src/kernel in the checkout, from dist/ in the bundle. */
const folders = ['../../build/Release', '../build/Release', '.'];

export function loadAddon(): Addon {
  const require = createRequire(import.meta.url);
  const failures: unknown[] = [];
  for (const folder of folders) {
    try {
      return require(`${folder}/warren.node`) as Addon;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'MODULE_NOT_FOUND') throw error;
      failures.push(error);
    }
  }
  throw new AggregateError(failures, 'warren.node is not built: npx node-gyp rebuild');
}

/** The program that holds a socket for ESP in UDP (native/holder/holder.cc says how it is spoken to). */
export function holderProgram(): string {
  const paths = folders.map((folder) => fileURLToPath(new URL(`${folder}/warren-holder`, import.meta.url)));
  return paths.find(existsSync) ?? (paths[0] as string);
}

/** To a Unix datagram socket, which Node has none of; throws an error with errno's `code` when nobody takes it. */
export function sendDatagram(path: string, text: string): void {
  loadAddon().datagram(path, text);
}

/** The kernel of this machine. Equivalent to having iproute2 and nft at hand, without their processes. */
export function openKernel(): Kernel {
  return new NativeKernel(loadAddon());
}

class NativeKernel implements Kernel {
  readonly #addon: Addon;
  /** Watches to end when the kernel is closed. */
  readonly #watches = new Set<() => void>();
  #closed = false;

  constructor(addon: Addon) {
    this.#addon = addon;
  }

  async read(netns: Netns, query: Query): Promise<NetnsState> {
    return this.#ask('read', nouns(query), netns, () => this.#addon.read(netns, query));
  }

  apply(netns: Netns, ops: readonly Op[]): Promise<void> {
    return this.applyAll([{ netns, ops }]);
  }

  async applyAll(visits: readonly Visit[]): Promise<void> {
    this.#check();
    const some = visits.filter(({ ops }) => ops.length > 0);
    if (some.length === 0) return;
    try {
      await this.#addon.apply(some.map(({ netns, ops }) => ({ netns, ops: ops.map(plain) })));
    } catch (error) {
      const { visit = -1, index = -1 } = refusal(error);
      const { netns = host, ops = [] } = some[visit] ?? {};
      const op = ops[index];
      // Without an index the namespace could not be entered, and nothing has been done.
      throw kernelError(error, op ? op.op : 'apply', op ? subject(op) : '', netns);
    }
  }

  async *watch(netns: Netns, nouns: readonly Noun[], signal: AbortSignal): AsyncGenerator<Hint> {
    if (signal.aborted) return;
    let hint: Hint | undefined;
    let over = false;
    let wake = () => {};
    const end = () => {
      over = true;
      this.#addon.unwatch(id);
      wake();
    };
    let id = 0;
    id = await this.#ask('watch', nouns.join(', '), netns, () =>
      this.#addon.watch(netns, nouns, (gone, more) => {
        hint = hint ? both(hint, more) : more;
        over ||= gone;
        wake();
      }),
    );
    signal.addEventListener('abort', end, { once: true });
    this.#watches.add(end);
    try {
      if (signal.aborted || this.#closed) return;
      while (!over) {
        if (!hint) {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
        if (over) return;
        const told = hint;
        hint = undefined;
        if (told) yield told;
      }
    } finally {
      signal.removeEventListener('abort', end);
      this.#watches.delete(end);
      this.#addon.unwatch(id);
    }
  }

  async identify(path: string): Promise<NetnsId | undefined> {
    return this.#ask('identify', path, { path: '' }, () => this.#addon.identify(path));
  }

  async namespaces(): Promise<readonly string[]> {
    return this.#ask('namespaces', '/run/netns', { path: '' }, () => this.#addon.namespaces());
  }

  async socket(netns: Netns, type: SocketType, address: string, port: number): Promise<number> {
    return this.#ask('socket', `${type} ${address} port ${port}`, netns, () =>
      this.#addon.socket(netns, type, address, port),
    );
  }

  async connections(netns: Netns, port: number): Promise<number> {
    return this.#ask('connections', `port ${port}`, netns, () => this.#addon.connections(netns, port));
  }

  /** Ends all watches; requests already made are answered first. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const end of this.#watches) end();
    await this.#addon.close();
  }

  async #ask<T>(op: string, what: string, netns: Netns, call: () => Promise<T>): Promise<T> {
    this.#check();
    try {
      return await call();
    } catch (error) {
      throw kernelError(error, op, what, netns);
    }
  }

  #check(): void {
    if (this.#closed) throw new Error('the kernel has been closed');
  }
}

function both(before: Hint, more: Hint): Hint {
  const { news, expired, mapped, ruled, vague } = before;
  return {
    news: [...news, ...more.news],
    expired: [...expired, ...more.expired],
    mapped: [...mapped, ...more.mapped],
    ruled: [...new Set([...ruled, ...more.ruled])],
    vague: vague || more.vague,
  };
}

/** The one place where a key is revealed: for the addon, which copies it and wipes the copy. */
export function plain(op: Op): PlainOp {
  // An op that is no object is the addon's to refuse.
  return op instanceof Object && 'key' in op ? { ...op, key: op.key.reveal() } : op;
}

function refusal(error: unknown): Partial<Refusal> {
  return error instanceof Error ? (error as Partial<Refusal>) : {};
}

/** A TypeError is the caller's mistake and stays what it is. */
function kernelError(error: unknown, op: string, what: string, netns: Netns): unknown {
  const { errno, code, extack, attr, index } = refusal(error);
  if (errno === undefined || code === undefined) return error;
  const place = netns.path === '' ? '' : `in netns ${nameOf(netns.path)}`;
  return new KernelError({
    op,
    subject: [what, place].filter((word) => word !== '').join(' '),
    errno,
    code,
    ...(extack === undefined ? {} : { extack }),
    ...(attr === undefined ? {} : { attr }),
    index: index ?? -1,
  });
}

function nameOf(path: string): string {
  return ['/run/netns', '/var/run/netns'].includes(dirname(path)) ? basename(path) : path;
}

function nouns(query: Query): string {
  return Object.entries(query)
    .filter(([, wanted]) => wanted !== false && wanted !== undefined)
    .map(([noun]) => noun)
    .join(', ');
}

/** `vxlan vx0`, `10.9.0.11/16 dev eth0`: what an op is about, as a person would say it. */
export function subject(op: Op): string {
  switch (op.op) {
    case 'link.add':
    case 'link.set':
      return link(op.link);
    case 'link.del':
    case 'netns.add':
    case 'netns.del':
      return op.name;
    case 'link.delgroup':
      return `group ${op.group}`;
    case 'addr.set':
    case 'addr.del':
      return `${op.addr.address} dev ${op.addr.dev}`;
    case 'route.set':
    case 'route.del':
      return [
        `${op.route.type ? 'local ' : ''}${op.route.dst}`,
        word('via', op.route.via),
        word('dev', op.route.dev),
        word('table', op.route.table),
      ].join('');
    case 'rule.set':
    case 'rule.del':
      return [
        `priority ${op.rule.priority}`,
        word('from', op.rule.from),
        word('fwmark', op.rule.fwmark),
        word('table', op.rule.table),
      ].join('');
    case 'neigh.set':
    case 'neigh.del':
      return `${op.neigh.dst} dev ${op.neigh.dev}`;
    case 'fdb.set':
    case 'fdb.del':
      return `${op.fdb.lladdr} dev ${op.fdb.dev} ${op.fdb.via}`;
    case 'sa.add':
    case 'sa.update':
      return `src ${op.sa.src} ${sa(op.sa)}`;
    case 'sa.del':
      return sa(op.sa);
    case 'policy.add':
    case 'policy.set':
    case 'policy.del':
      return `${selector(op.policy.selector)} dir ${op.policy.dir}`;
    case 'ipvs.set':
      return `${service(op.service)} scheduler ${op.service.scheduler}`;
    case 'ipvs.del':
      return service(op.service);
    case 'ipvs.dest.set':
    case 'ipvs.dest.del':
      return `${service(op.dest.service)} destination ${place(op.dest)}`;
    case 'ipvs.timeouts.set':
      return `timeouts ${op.timeouts.tcp} ${op.timeouts.tcpFin} ${op.timeouts.udp}`;
    case 'sysctl.set':
      return op.sysctl.key;
    case 'nft.set':
      return `table ${op.table.family} ${op.table.name}`;
    case 'nft.del':
      return `table ${op.family} ${op.name}`;
    case 'nft.element.set':
    case 'nft.element.del':
      return `set ${op.family} ${op.table} ${op.set}`;
  }
}

function link(link: Link): string {
  return link.kind ? `${link.kind} ${link.name}` : link.name;
}

/** As `ip xfrm` prints it. */
function sa({ dst, spi }: SaId): string {
  return `dst ${dst} proto esp spi 0x${spi.toString(16).padStart(8, '0')}`;
}

function selector({ src, dst, proto, sport, dport }: Selector): string {
  return [`src ${src} dst ${dst}`, word('proto', proto), word('sport', sport), word('dport', dport)].join('');
}

function service(key: IpvsKey): string {
  if ('fwmark' in key) return `fwmark ${key.fwmark}${key.family === 6 ? ' IPv6' : ''}`;
  return `${key.proto} ${place(key)}`;
}

/** As `ipvsadm -Ln` prints it. */
function place({ address, port }: { readonly address: string; readonly port: number }): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

function word(name: string, value: string | number | undefined): string {
  return value === undefined ? '' : ` ${name} ${value}`;
}
