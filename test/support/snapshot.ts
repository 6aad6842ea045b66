import type { Guest } from '../lab/guest.ts';

/** What a host looks like: compared before and after, line by line. */
const commands: Readonly<Record<string, string>> = {
  links: 'ip -d -o link | sed "s/ [a-z_]*timer *[0-9.]*//g"',
  addresses: 'ip -o addr',
  routes: 'ip route show table all; ip -6 route show table all',
  rules: 'ip rule; ip -6 rule',
  neighbours: 'bridge fdb',
  nft: 'nft list ruleset',
  namespaces: 'ip netns list | sort',
  mounts: "awk '{print $2, $3}' /proc/mounts | sort",
  files: 'ls -A /etc /etc/netns /var/lib /run /run/netns /usr/local/bin /root 2>&1',
  sysctls: 'sysctl -a 2>/dev/null | grep ^net | sort',
  // The relay is the test's own.
  processes: "ps -eo args= | grep -E 'warren|redis-server' | grep -vE 'grep|relay\\.mjs' | sort",
};

/** These change by themselves. */
const volatile = /nf_conntrack_count|tcp_mem|udp_mem|random/;

export type Snapshot = Record<string, string>;

export async function snapshot(guest: Guest): Promise<Snapshot> {
  const taken: Snapshot = {};
  for (const [name, command] of Object.entries(commands)) {
    const { stdout } = await guest.run(command);
    taken[name] = stdout
      .split('\n')
      .filter((line) => !volatile.test(line))
      .join('\n');
  }
  return taken;
}
