import type { Guest } from '../lab/guest.ts';

/** What a host looks like: compared before and after, line by line. */
const commands: Readonly<Record<string, string>> = {
  links: 'ip -d -o link',
  addresses: 'ip -o addr',
  routes: 'ip route show table all; ip -6 route show table all',
  rules: 'ip rule; ip -6 rule',
  neighbours: 'bridge fdb',
  nft: 'nft list ruleset',
  namespaces: 'ip netns list | sort',
  mounts: "awk '{print $2, $3}' /proc/mounts | sort",
  files: 'find /etc /var/lib /run /usr/local /root -xdev -newer /proc/1/stat 2>/dev/null | sort',
  sysctls: 'sysctl -a 2>/dev/null | grep ^net | sort',
  processes: "ps -eo args= | grep -E 'warren|redis-server' | grep -v grep | sort",
};

/** Counters, timers and clocks: they change by themselves. */
const volatile =
  /nf_conntrack_count|valid_lft|preferred_lft|qlen|random|expires|conntrack_max|cubic|tcp_mem|udp_mem|stable_secret|gc_timer|hello_timer|tcn_timer|topology_change_timer/;

export type Snapshot = Record<string, string>;

export async function snapshot(guest: Guest, ...prefix: string[]): Promise<Snapshot> {
  const taken: Snapshot = {};
  for (const [name, command] of Object.entries(commands)) {
    const { stdout } = await guest.run([...prefix, 'sh', '-c', command]);
    taken[name] = stdout
      .split('\n')
      .map((line) =>
        volatile.test(line) ? line.replace(/\b(valid_lft|preferred_lft|expires|qlen) \S+|\S*timer +\S+/g, '') : line,
      )
      .filter((line) => !/nf_conntrack_count|tcp_mem|udp_mem|random/.test(line))
      .join('\n');
  }
  return taken;
}
