import type { Op } from '../kernel/op.ts';
import type { IpvsDest, IpvsKey, Link, Netns, NetnsState, NftTableId, PolicyId, Sysctl } from '../kernel/state.ts';
import { host } from '../kernel/state.ts';
import { bornVxlan, isHostEnd, isOurs, leaving, placeOf, uplink, vxlan } from './names.ts';
import { nameOf } from './news.ts';
import { diffTable } from './nft.ts';
import type { Scope, Step } from './scope.ts';
import { nothing } from './scope.ts';

/**
 * What must be done so that `have` becomes `want`; [] when it already is. Pure, in no particular order (order.ts).
 * Compares only fields that `want` names, and removes only what carries our mark.
 */
export function diff(want: Scope, have: Scope): Step[] {
  const steps: Step[] = [];
  for (const name of want.namespaces) {
    if (!have.namespaces.includes(name)) steps.push({ netns: host, op: { op: 'netns.add', name } });
  }
  for (const name of have.namespaces) {
    if (want.namespaces.includes(name)) continue;
    // The kernel ends a namespace later, in its own time; until then its vxlan keeps the vni on this host, and its uplink
    // the name of the host's end.
    for (const link of [vxlan, uplink])
      steps.push({ netns: { path: `/run/netns/${name}` }, op: { op: 'link.del', name: link } });
    steps.push({ netns: host, op: { op: 'netns.del', name } });
  }
  const found = new Map(have.wishes.map((wish) => [wish.netns.path, wish.state]));
  for (const { netns, state } of want.wishes) {
    steps.push(...diffState(netns, state, found.get(netns.path) ?? nothing));
    found.delete(netns.path);
  }
  for (const [path, state] of found) {
    // A container's own namespace may be gone, and what we had in it goes with the host end of its veth.
    if (placeOf({ path }) !== 'endpoint') steps.push(...diffState({ path }, nothing, state));
  }
  return steps;
}

function diffState(netns: Netns, want: NetnsState, found: NetnsState): Step[] {
  const have = without(found, remade(want.links, found.links));
  const place = placeOf(netns);
  const kept = new Set(want.links.map((link) => link.name));
  const balanced = new Set(want.ipvs.map(ipvsName));
  const here = (op: Op): Step => ({ netns, op });
  // A container may be in several networks; a wish speaks for its own interface there.
  const mine = (dev?: string): boolean => place !== 'endpoint' || want.links.some(({ name }) => name === dev);
  return [
    ...diffLinks(netns, want.links, found.links, have.links),
    ...want.sysctls.filter((sysctl) => differs(sysctl, want, have)).map((sysctl) => here({ op: 'sysctl.set', sysctl })),
    ...diffList(want.addrs, have.addrs, (a) => `${a.dev} ${nameOf.addrs(a)}`, ['nodad'], {
      set: (addr) => here({ op: 'addr.set', addr }),
    }),
    ...diffList(want.routes, have.routes, nameOf.routes, [], {
      set: (route) => here({ op: 'route.set', route }),
      del: (route) => isOurs.route(route) && mine(route.dev) && here({ op: 'route.del', route }),
    }),
    ...diffList(want.rules, have.rules, nameOf.rules, [], {
      set: (rule) => here({ op: 'rule.set', rule }),
      // Rules name no link: in an endpoint's namespace they may be another network's.
      del: (rule) => isOurs.rule(rule) && place !== 'endpoint' && here({ op: 'rule.del', rule }),
    }),
    ...diffList(want.neighs, have.neighs, (n) => `${n.dev} ${nameOf.neighs(n)}`, [], {
      set: (neigh) => here({ op: 'neigh.set', neigh }),
      del: (neigh) => isOurs.neigh(neigh) && here({ op: 'neigh.del', neigh }),
    }),
    ...diffList(want.fdb, have.fdb, (f) => `${nameOf.fdb(f)} ${f.via === 'self' ? f.dev : ''}`, [], {
      set: (fdb) => here({ op: 'fdb.set', fdb }),
      // A port that leaves takes its entries along.
      del: (fdb) => isOurs.fdb(fdb) && (kept.has(fdb.dev) || !isHostEnd(fdb.dev)) && here({ op: 'fdb.del', fdb }),
    }),
    ...diffList(want.policies, have.policies, policyName, [], {
      set: (policy) => here({ op: 'policy.set', policy }),
      del: (policy) =>
        isOurs.policy(policy) && here({ op: 'policy.del', policy: { dir: policy.dir, selector: policy.selector } }),
    }),
    // Every service of the namespace wants the same.
    ...diffList(want.ipvsTimeouts.slice(0, 1), have.ipvsTimeouts, () => 'timeouts', [], {
      set: (timeouts) => here({ op: 'ipvs.timeouts.set', timeouts }),
    }),
    ...diffList(want.ipvs, have.ipvs, ipvsName, [], {
      set: (service) => here({ op: 'ipvs.set', service }),
      del: (service) => here({ op: 'ipvs.del', service }),
    }),
    ...diffList(want.ipvsDests, have.ipvsDests, ipvsDestName, [], {
      set: (dest) => here({ op: 'ipvs.dest.set', dest }),
      // A service takes its destinations along.
      del: (dest) => balanced.has(ipvsName(dest.service)) && here({ op: 'ipvs.dest.del', dest }),
    }),
    ...want.nft.flatMap((table) =>
      diffTable(
        table,
        have.nft.find((found) => sameTable(found, table)),
      ).map(here),
    ),
    ...have.nft
      .filter((table) => !want.nft.some((wanted) => sameTable(wanted, table)))
      .map(({ family, name }) => here({ op: 'nft.del', family, name })),
  ];
}

/** The rule for every noun with replace semantics: set what is missing or different, remove what is ours and unwanted. */
function diffList<Item extends object>(
  want: readonly Item[],
  have: readonly Item[],
  keyOf: (item: Item) => string,
  writeOnly: readonly (keyof Item)[],
  steps: { set: (item: Item) => Step; del?: (item: Item) => Step | false },
): Step[] {
  const wanted = new Set(want.map(keyOf));
  const found = new Map(have.map((item) => [keyOf(item), item]));
  const sets = want.filter((item) => !covers(found.get(keyOf(item)), item, writeOnly)).map(steps.set);
  const dels = have.filter((item) => !wanted.has(keyOf(item))).flatMap((item) => steps.del?.(item) || []);
  return [...sets, ...dels];
}

/** Links are the one noun that cannot always be changed in place: another kind, vni or local address means a new link. */
function remade(want: readonly Link[], have: readonly Link[]): ReadonlySet<string> {
  const found = new Map(have.map((link) => [link.name, link]));
  const others = want.filter(({ name, kind, vxlan }) => {
    const old = found.get(name);
    return old && !covers(old, { kind, vxlan }, []);
  });
  return new Set(others.map(({ name }) => name));
}

/** What there is once these links have been made anew: they take along all that hangs on them. */
function without(have: NetnsState, gone: ReadonlySet<string>): NetnsState {
  if (gone.size === 0) return have;
  const stays = ({ dev }: { dev?: string }) => dev === undefined || !gone.has(dev);
  return {
    ...have,
    links: have.links
      .filter(({ name }) => !gone.has(name))
      .map((link) => (link.master && gone.has(link.master) ? { ...link, master: null } : link)),
    addrs: have.addrs.filter(stays),
    routes: have.routes.filter(stays),
    neighs: have.neighs.filter(stays),
    fdb: have.fdb.filter(stays),
    sysctls: have.sysctls.filter(({ key }) => !gone.has(linkOf(key) ?? '')),
  };
}

const linkOf = (sysctl: string): string | undefined => /^net\/ipv[46]\/conf\/([^/]+)\//.exec(sysctl)?.[1];

/** `found`: before any link is made anew; `left`: without those. */
function diffLinks(netns: Netns, want: readonly Link[], found: readonly Link[], left: readonly Link[]): Step[] {
  const place = placeOf(netns);
  const have = new Map(left.map((link) => [link.name, link]));
  const before = new Set(found.map(({ name }) => name));
  const wanted = new Set(want.map((link) => link.name));
  const unwanted = left.filter((link) => !wanted.has(link.name) && isOurs.link(link, place));
  const steps: Step[] = unwanted.flatMap((link) => farewell(netns, link));
  if (unwanted.some(({ name }) => isHostEnd(name))) steps.push({ netns, op: { op: 'link.delgroup', group: leaving } });
  for (const link of want) {
    const old = have.get(link.name);
    const { veth: _, ...rest } = link;
    if (!old && before.has(link.name)) steps.push({ netns, op: { op: 'link.del', name: link.name } });
    if (!old && link.kind) steps.push(...birth(netns, link));
    else if (!covers(old, rest, [])) steps.push({ netns, op: { op: 'link.set', link: changed(rest, old) } });
  }
  return steps;
}

/**
 * How a link goes. To delete a veth pair takes 16 to 20 ms, alone or with a hundred others: a host end is cut off at once, and
 * deleted with its group.
 */
function farewell(netns: Netns, link: Link): Step[] {
  if (!isHostEnd(link.name)) return [{ netns, op: { op: 'link.del', name: link.name } }];
  const cut: Link = { name: link.name, up: false, master: null, group: leaving };
  return covers(link, cut, []) ? [] : [{ netns, op: { op: 'link.set', link: cut } }];
}

/**
 * How a link comes to be. A vxlan device is born from the host, where its UDP socket stays, straight into the network's
 * namespace, under a name the host cannot have taken; nothing is ever moved between namespaces (17 to 20 ms each).
 */
function birth(netns: Netns, link: Link): Step[] {
  if (!link.vxlan) return [{ netns, op: { op: 'link.add', link } }];
  const { kind, vxlan, address, mtu, ...rest } = link;
  const born: Link = { name: bornVxlan(vxlan.vni), kind: kind ?? 'vxlan', vxlan, netns };
  const later: Link = { ...rest, name: born.name };
  return [
    { netns: host, op: { op: 'link.add', link: { ...born, ...(address && { address }), ...(mtu && { mtu }) } } },
    { netns, op: { op: 'link.set', link: later, rename: link.name } },
  ];
}

/** Only the fields that differ, so that a change to one never disturbs another. */
function changed(want: Link, have: Link | undefined): Link {
  const fields = Object.entries(want).filter(
    ([field, value]) => field !== 'kind' && !covers(have, { [field]: value }, []),
  );
  return { name: want.name, ...Object.fromEntries(fields) };
}

/** A sysctl this kernel does not have has nothing to be set; that of a link appears with the link. */
function differs(sysctl: Sysctl, want: NetnsState, have: NetnsState): boolean {
  const old = have.sysctls.find(({ key }) => key === sysctl.key);
  if (old) return old.value !== sysctl.value;
  return want.links.some(({ name }) => name === linkOf(sysctl.key));
}

function sameTable(a: NftTableId, b: NftTableId): boolean {
  return a.family === b.family && a.name === b.name;
}

function ipvsName(key: IpvsKey): string {
  return 'fwmark' in key ? `${key.family} ${key.fwmark}` : `${key.proto} ${key.address} ${key.port}`;
}

function ipvsDestName({ service, address, port }: IpvsDest): string {
  return `${ipvsName(service)} ${address} ${port}`;
}

/** One per direction and selector, whatever its priority. */
export function policyName({ dir, selector: { src, dst, proto = 0, sport = 0, dport = 0 } }: PolicyId): string {
  return [dir, src, dst, proto, sport, dport].join(' ');
}

/** Does `have` agree with every field that `want` names? */
export function covers(have: unknown, want: unknown, writeOnly: readonly PropertyKey[]): boolean {
  if (want === undefined || have === want) return true;
  if (typeof want !== 'object' || want === null || typeof have !== 'object' || have === null) return false;
  if (Array.isArray(want) && want.length !== (have as { length?: number }).length) return false;
  return Object.entries(want).every(
    ([field, value]) => writeOnly.includes(field) || covers((have as Record<string, unknown>)[field], value, []),
  );
}
