import type { Guest } from '../lab/guest.ts';

/** What iproute2, bridge and nft print as JSON, as far as the oracle looks. */
export type Addr = {
  family: string;
  local: string;
  prefixlen: number;
  scope: string;
  tentative?: boolean;
  dadfailed?: boolean;
};
export type Link = {
  ifindex: number;
  link_index?: number;
  ifname: string;
  flags: string[];
  mtu: number;
  master?: string;
  address: string;
  addr_info: Addr[];
  linkinfo?: {
    info_kind?: string;
    info_data?: { id?: number; local?: string; local6?: string; port?: number; learning?: boolean; proxy?: boolean };
    info_slave_data?: { learning?: boolean; flood?: boolean };
  };
};
export type Route = { dst: string; gateway?: string; dev: string; table?: string };
export type Neigh = { dst: string; dev: string; lladdr?: string; state: string[] };
export type Fdb = { mac: string; ifname: string; dst?: string; master?: string; flags: string[]; state: string };
type Expression = {
  match?: { op: string; left: Record<string, { key?: string; field?: string }>; right: unknown };
} & object;
type Nft = { nftables: { table?: { name: string }; rule?: { chain: string; expr: Expression[] } }[] };

/** One network namespace. */
export type Space = { links: Link[]; routes: Route[]; neighs: Neigh[]; fdb: Fdb[]; rules: string[]; tables: string[] };
/** `unsent`: what connections closed since still have for the store. */
export type Kernel = { host: Space; namespaces: Map<string, Space>; unsent: string; ipsec: string[] };

/** All of a guest in one go: starting a program is what costs there. */
const script = `
ask() { printf 'addr\\nneigh\\nroute show table all\\n' | ip $1 -j -d -b -; }
echo '= host'; ask
echo '= host nft'; nft -j list ruleset
echo '= host policies'; ip xfrm policy
echo '= host sas'; ip xfrm state
echo '= host unsent'; ss -Hatn 'dport = :6379' | awk '$3 > 0 && $1 != "ESTAB"'
for n in $(ls /run/netns); do
  echo "= $n"; ask "-n $n"
  case $n in warren-*)
    echo "= $n fdb"; bridge -n $n -j fdb
    echo "= $n nft"; nsenter --net=/run/netns/$n nft -j list ruleset
  esac
done
echo '= end'`;

export async function read(guest: Guest): Promise<Kernel> {
  const sections = new Map<string, string>();
  for (const section of (await guest.ok(script)).split(/^= /m).slice(1)) {
    const end = section.indexOf('\n');
    sections.set(section.slice(0, end), section.slice(end + 1));
  }
  const space = (name: string): Space => {
    const [links, neighs, routes] = (sections.get(name) ?? '').trim().split('\n').map(list);
    const nft = JSON.parse(sections.get(`${name} nft`)?.trim() || '{"nftables":[]}') as Nft;
    return {
      links: links as Link[],
      neighs: neighs as Neigh[],
      routes: (routes as Route[]).filter(({ table = 'main' }) => table === 'main'),
      fdb: list(sections.get(`${name} fdb`)) as Fdb[],
      tables: nft.nftables.flatMap(({ table }) => (table ? [table.name] : [])),
      rules: nft.nftables.flatMap(({ rule }) => (rule ? [`${rule.chain}: ${rule.expr.map(words).join(' ')}`] : [])),
    };
  };
  const names = [...sections.keys()].filter((name) => !/ |^host$|^end$/.test(name));
  return {
    host: space('host'),
    namespaces: new Map(names.map((name) => [name, space(name)])),
    unsent: sections.get('host unsent') ?? '',
    ipsec: [...policies(sections.get('host policies') ?? ''), ...sas(sections.get('host sas') ?? '')],
  };
}

/** A template names the SA out of which packets go, and that one must be there. */
function policies(text: string): string[] {
  return text.split(/^(?=src )/m).flatMap((entry) => {
    const head = /^src (\S+) dst (\S+) proto (\w+) dport (\d+)\s+dir (\w+) (action block )?priority (\d+)/.exec(entry);
    if (!head) return entry.trim() === '' ? [] : [`policy ${entry}`];
    const [, src, dst, proto, port, dir, block, priority] = head;
    const tmpl = /tmpl src \S+ dst \S+\s+proto esp (spi 0x\w+ )?reqid \d+ mode transport/.exec(entry);
    const how = tmpl ? ` esp${tmpl[1] ? ' by an SA' : ''}` : '';
    return [`policy ${dir} ${src} ${dst} ${proto} ${port} ${block ? 'block' : 'allow'} ${priority}${how}`];
  });
}

/** Between whom; while keys change there are several. */
function sas(text: string): string[] {
  const found = [...text.matchAll(/^src (\S+) dst (\S+)$/gm)].map(([, src, dst]) => `sa ${src} ${dst}`);
  return [...new Set(found)];
}

/** An empty list is printed in several ways, and what is being deleted as `{}`. */
function list(text: string | undefined): unknown[] {
  return (JSON.parse(text?.trim() || '[]') as object[]).filter((item) => Object.keys(item).length > 0);
}

function words(expression: Expression): string {
  const { match } = expression;
  if (!match) return Object.keys(expression).join(' ');
  const left = Object.values(match.left)[0];
  const right = (match.right as { set?: unknown[] }).set ?? match.right;
  return `${left?.key ?? left?.field} ${match.op} ${String(right)}`;
}
