import { KernelError } from '../../src/kernel/error.ts';
import type { Kernel } from '../../src/kernel/kernel.ts';
import type { Op, Visit } from '../../src/kernel/op.ts';
import type {
  Hint,
  IpvsDestId,
  IpvsKey,
  Link,
  Netns,
  NetnsId,
  NetnsState,
  NftTable,
  PolicyId,
  Query,
  SaId,
} from '../../src/kernel/state.ts';
import { elements } from '../../src/plan/nft.ts';

type Space = { [Noun in keyof NetnsState]: Map<string, NetnsState[Noun][number]> };

const empty = (): Space => ({
  links: new Map(),
  addrs: new Map(),
  routes: new Map(),
  rules: new Map(),
  neighs: new Map(),
  fdb: new Map(),
  sas: new Map(),
  policies: new Map(),
  xfrmStat: new Map(),
  ipvs: new Map(),
  ipvsDests: new Map(),
  ipvsTimeouts: new Map(),
  sysctls: new Map(),
  nft: new Map(),
});

const saKey = ({ dst, spi }: SaId): string => `${dst} ${spi}`;
const policyKey = ({ dir, selector: s }: PolicyId): string =>
  [dir, s.src, s.dst, s.proto, s.sport, s.sportMask, s.dport, s.dportMask].join(' ');

const ipvsKey = (key: IpvsKey): string =>
  'fwmark' in key ? `fwmark ${key.fwmark} ${key.family}` : `${key.proto} ${key.address} ${key.port}`;
const destKey = ({ service, address, port }: IpvsDestId): string => `${ipvsKey(service)} ${address} ${port}`;

/** Of an element of a map, what is before its value. */
const keyOf = (element: string): string => element.split(' : ')[0] ?? '';

/** A table's text with other elements in one of its sets or maps. */
function withElements(text: string, name: string, change: (all: readonly string[]) => readonly string[]): string {
  return text.replace(
    new RegExp(`^((?:set|map) ${name} \\{\n[^}]*?)(?:\n\telements = \\{ ([^}]*) \\})?\n\\}`, 'm'),
    (_, head: string, list = '') => `${head}${elements(change(list === '' ? [] : list.split(', ')))}\n}`,
  );
}

/** The kernel as a map, for tests of pure code and of the loop around it. What the kernel means is tested on a kernel. */
export class FakeKernel implements Kernel {
  readonly spaces = new Map<string, Space>([['', empty()]]);
  readonly applied: { netns: string; op: Op }[] = [];
  /** Throws what it likes at an op, to make each fail once. */
  fault: ((netns: string, op: Op) => string | undefined) | undefined;

  addNetns(path: string): void {
    const space = empty();
    space.links.set('lo', { name: 'lo', kind: '', up: false });
    this.spaces.set(path, space);
  }

  #space(netns: Netns): Space {
    const space = this.spaces.get(netns.path);
    if (!space) throw new KernelError({ op: 'open', subject: netns.path, errno: 2, code: 'ENOENT', index: -1 });
    return space;
  }

  async read(netns: Netns, query: Query): Promise<NetnsState> {
    const space = this.#space(netns);
    const list = <Item>(map: Map<string, Item>, on: boolean | undefined): Item[] => (on ? [...map.values()] : []);
    return {
      links: list(space.links, query.links),
      addrs: list(space.addrs, query.addrs),
      routes: list(space.routes, query.routes),
      rules: list(space.rules, query.rules),
      neighs: list(space.neighs, query.neighs),
      fdb: list(space.fdb, query.fdb),
      sas: list(space.sas, query.sas),
      policies: list(space.policies, query.policies),
      xfrmStat: list(space.xfrmStat, query.xfrmStat),
      ipvs: list(space.ipvs, query.ipvs),
      ipvsDests: list(space.ipvsDests, true).filter(
        ({ service }) => query.ipvs || query.ipvsDestsOf?.some((key) => ipvsKey(key) === ipvsKey(service)),
      ),
      ipvsTimeouts: list(space.ipvsTimeouts, query.ipvs),
      sysctls: (query.sysctls ?? []).flatMap((key) => space.sysctls.get(key) ?? []),
      nft: (query.nft ?? []).flatMap(({ name }) => space.nft.get(name) ?? []),
    };
  }

  async apply(netns: Netns, ops: readonly Op[]): Promise<void> {
    for (const [index, op] of ops.entries()) {
      const code = this.fault?.(netns.path, op);
      if (code) throw new KernelError({ op: op.op, subject: 'fault', errno: 1, code, index });
      this.#one(netns, op, index);
      this.applied.push({ netns: netns.path, op });
    }
  }

  async applyAll(visits: readonly Visit[]): Promise<void> {
    for (const { netns, ops } of visits) await this.apply(netns, ops);
  }

  #one(netns: Netns, op: Op, index: number): void {
    const space = this.#space(netns);
    const refuse = (code: string): never => {
      throw new KernelError({ op: op.op, subject: JSON.stringify(op), errno: 1, code, index });
    };
    switch (op.op) {
      case 'netns.add':
        if (this.spaces.has(`/run/netns/${op.name}`)) refuse('EEXIST');
        this.addNetns(`/run/netns/${op.name}`);
        return;
      case 'netns.del':
        this.spaces.delete(`/run/netns/${op.name}`);
        return;
      case 'link.add': {
        const target = op.link.netns ? this.#space(op.link.netns) : space;
        if (target.links.has(op.link.name)) refuse('EEXIST');
        const { veth, netns: _, ...link } = op.link;
        if (veth) {
          const peer = this.#space(veth.peer.netns);
          if (peer.links.has(veth.peer.name)) refuse('EEXIST');
          const { netns: __, ...end } = veth.peer;
          peer.links.set(end.name, { ...end, kind: 'veth', up: false });
        }
        target.links.set(link.name, { up: false, master: null, ...link });
        return;
      }
      case 'link.set': {
        const link = space.links.get(op.link.name) ?? refuse('ENODEV');
        const name = op.rename ?? op.link.name;
        space.links.delete(op.link.name);
        space.links.set(name, { ...(link as Link), ...op.link, name });
        return;
      }
      case 'link.delgroup':
        for (const [name, link] of space.links) if ((link as Link).group === op.group) space.links.delete(name);
        return;
      case 'link.del':
        space.links.delete(op.name);
        return;
      case 'addr.set':
        space.addrs.set(`${op.addr.dev} ${op.addr.address}`, op.addr);
        return;
      case 'route.set':
        space.routes.set(op.route.dst, op.route);
        return;
      case 'route.del':
        space.routes.delete(op.route.dst);
        return;
      case 'neigh.set':
        space.neighs.set(op.neigh.dst, op.neigh);
        return;
      case 'neigh.del':
        space.neighs.delete(op.neigh.dst);
        return;
      case 'fdb.set':
        space.fdb.set(`${op.fdb.via} ${op.fdb.lladdr}`, op.fdb);
        return;
      case 'fdb.del':
        space.fdb.delete(`${op.fdb.via} ${op.fdb.lladdr}`);
        return;
      case 'sa.add':
        if (space.sas.has(saKey(op.sa))) refuse('EEXIST');
        space.sas.set(saKey(op.sa), op.sa);
        return;
      case 'sa.update':
        space.sas.set(saKey(op.sa), { ...(space.sas.get(saKey(op.sa)) ?? refuse('ESRCH')), ...op.sa });
        return;
      case 'sa.del':
        space.sas.delete(saKey(op.sa));
        return;
      case 'policy.add':
        if (space.policies.has(policyKey(op.policy))) refuse('EEXIST');
        space.policies.set(policyKey(op.policy), op.policy);
        return;
      case 'policy.set':
        space.policies.set(policyKey(op.policy), op.policy);
        return;
      case 'policy.del':
        space.policies.delete(policyKey(op.policy));
        return;
      case 'ipvs.set': {
        const netmask = ('fwmark' in op.service ? op.service.family === 6 : op.service.address.includes(':'))
          ? 128
          : 32;
        const settings = { schedFlags: [], persistent: 0, netmask, ops: false };
        space.ipvs.set(ipvsKey(op.service), { ...settings, ...op.service });
        return;
      }
      case 'ipvs.del':
        space.ipvs.delete(ipvsKey(op.service));
        for (const [key, dest] of space.ipvsDests)
          if (ipvsKey((dest as IpvsDestId).service) === ipvsKey(op.service)) space.ipvsDests.delete(key);
        return;
      case 'ipvs.dest.set':
        if (!space.ipvs.has(ipvsKey(op.dest.service))) refuse('ESRCH');
        space.ipvsDests.set(destKey(op.dest), { upper: 0, lower: 0, ...op.dest });
        return;
      case 'ipvs.dest.del':
        space.ipvsDests.delete(destKey(op.dest));
        return;
      case 'ipvs.timeouts.set':
        space.ipvsTimeouts.set('', op.timeouts);
        return;
      case 'sysctl.set':
        space.sysctls.set(op.sysctl.key, op.sysctl);
        return;
      case 'nft.set':
        space.nft.set(op.table.name, op.table);
        return;
      case 'nft.del':
        space.nft.delete(op.name);
        return;
      case 'nft.element.set':
      case 'nft.element.del': {
        const table = (space.nft.get(op.table) as NftTable | undefined) ?? refuse('ENOENT');
        const gone = new Set(op.elements.map(keyOf));
        const kept = (all: readonly string[]) => all.filter((element) => !gone.has(keyOf(element)));
        const added = op.op === 'nft.element.set' ? op.elements : [];
        const text = withElements(table.text, op.set, (all) => [...kept(all), ...added]);
        space.nft.set(op.table, { ...table, text });
        return;
      }
      default:
        refuse('EOPNOTSUPP');
    }
  }

  /** Nothing ever happens by itself here. */
  async *watch(): AsyncIterable<Hint> {}

  async identify(path: string): Promise<NetnsId | undefined> {
    return this.spaces.has(path) ? { dev: 4, inode: this.inodes.get(path) ?? 1 } : undefined;
  }
  /** Inodes by path, where a test cares. */
  readonly inodes = new Map<string, number>();

  async namespaces(): Promise<readonly string[]> {
    return [...this.spaces.keys()].flatMap((path) => /^\/run\/netns\/(.+)$/.exec(path)?.[1] ?? []);
  }
  /** As if nobody ever came. */
  async connections(): Promise<number> {
    return 0;
  }
  async socket(): Promise<number> {
    throw new Error('no sockets here');
  }
  async close(): Promise<void> {}
}
