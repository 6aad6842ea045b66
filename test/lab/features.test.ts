/**
 * What the lab's kernel must be able to do, as command lines: when a scenario fails, first see whether one of these does.
 *
 *      a ──┬── net0   10.77.0.0/24  fd77::/64
 *      b ──┘          vxlan over ESP between the two
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Guest } from './guest.ts';
import { Lab } from './lab.ts';

let lab: Lab;
before(async () => {
  lab = await Lab.start({ guests: 2 });
});
after(() => lab?.stop());

const key128 = `0x${'0123456789'.repeat(4)}`; // 16 bytes and 4 of salt
const key256 = `0x${'0123456789'.repeat(7)}01`; // 32 bytes and 4 of salt
const ciphers = {
  'aes-128-gcm': `aead 'rfc4106(gcm(aes))' ${key128} 128`,
  'aes-256-gcm': `aead 'rfc4106(gcm(aes))' ${key256} 128`,
  'chacha20-poly1305': `aead 'rfc7539esp(chacha20,poly1305)' ${key256} 128`,
};
const sa = (spi: string) =>
  `ip xfrm state add src 10.77.0.1 dst 10.77.0.2 proto esp spi ${spi} reqid 7 mode transport replay-window 128 flag esn`;
const nft = (rules: string) => `nft -f - <<'END'\n${rules}\nEND`;
const inTurn = (item: string, words: string, command: (word: string) => string) =>
  `for ${item} in ${words}; do ${command(`$${item}`)} || { echo "$${item}" >&2; exit 1; }; done`;

/** In order: later lines use what earlier ones made. */
const features: Record<string, string> = {
  'network namespaces': 'ip netns add n1; ip netns add n2; ip -n n1 link set lo up',
  'veth born in two namespaces': `
    ip link add v1 netns n1 type veth peer name v2 netns n2
    for i in 1 2; do ip -n n$i addr add 10.9.0.$i/24 dev v$i; ip -n n$i addr add fd09::$i/64 dev v$i nodad; ip -n n$i link set v$i up; done
    ip netns exec n1 ping -nc1 -W2 10.9.0.2; ip netns exec n1 ping -nc1 -W2 fd09::2`,
  'bridge with isolated flags': `
    ip -n n1 link add br0 type bridge mcast_snooping 0 ageing_time 30000 || ip -n n1 link add br0 type bridge
    ip -n n1 link add w1 type veth peer name eth0 netns n2; ip -n n1 link set w1 master br0
    bridge -n n1 link set dev w1 learning off flood off mcast_flood off; ip -n n1 link set br0 up`,
  'vxlan: nolearning, proxy, static fdb and neighbours': `
    ip link add vx0 netns n1 type vxlan id 1048577 dstport 4789 local 10.77.0.1 nolearning proxy
    ip -n n1 link set vx0 master br0; ip -n n1 link set vx0 up
    bridge -n n1 fdb replace 02:00:00:00:00:09 dev vx0 dst 10.77.0.2
    ip -n n1 neigh replace 10.8.0.9 lladdr 02:00:00:00:00:09 dev vx0 nud permanent
    bridge -n n1 link set dev vx0 neigh_suppress on learning off
    ip -n n1 -d link show vx0 | grep -q nolearning`,
  'vxlan over IPv6': 'ip link add vx6 type vxlan id 5 dstport 4790 local fd77::1; ip link set vx6 up; ip link del vx6',
  'nft inet: nat, masquerade, redirect, sets and maps': nft(`
    table inet t {
      set s { type ipv4_addr; flags timeout; }
      map m { type ipv4_addr . inet_service : verdict; }
      chain filter { type filter hook forward priority 0; ct state established accept; ip saddr @s drop; ip daddr . tcp dport vmap @m; }
      chain pre { type nat hook prerouting priority -100; tcp dport 80 redirect to :8080; ip protocol tcp dnat ip to 10.9.0.2; }
      chain post { type nat hook postrouting priority 100; masquerade fully-random; }
      chain twin { type filter hook output priority -150; meta mark set numgen inc mod 3; limit rate 5/second log prefix "t"; }
    }`),
  'nft inet: only what came or goes through ipsec': nft(`
    table inet g {
      chain in { type filter hook input priority -300; udp dport 4789 meta ipsec missing drop; }
      chain out { type filter hook output priority -300; udp dport 4789 rt ipsec missing drop; }
    }`),
  'nft bridge and netdev': nft(`
    table bridge b {
      chain c { type filter hook forward priority 0; }
    }
    table netdev d {
      chain c { type filter hook ingress device eth0 priority 0; }
    }`),
  'nft: delete what is there and what is not':
    'nft list tables; nft flush ruleset; nft add table inet x; nft delete table inet x',
  'ipvs: nat, direct routing, tunnel': `
    ipvsadm -A -t 10.10.0.1:80 -s rr; ipvsadm -a -t 10.10.0.1:80 -r 10.9.0.2:80 -g -w 3
    ipvsadm -a -t 10.10.0.1:80 -r 10.9.0.3:80 -m; ipvsadm -a -t 10.10.0.1:80 -r 10.9.0.4:80 -i`,
  'ipvs: udp, fwmark, IPv6, persistence': `
    ipvsadm -A -u 10.10.0.1:53 -s rr -o; ipvsadm -A -f 7 -s wrr
    ipvsadm -A -t [fd10::1]:80 -s mh -p 60; ipvsadm -a -t [fd10::1]:80 -r [fd09::2]:80 -g`,
  'ipvs: schedulers': inTurn('s', 'rr wrr lc wlc sh mh sed nq', (s) => `ipvsadm -A -t 10.10.0.2:$((++p+80)) -s ${s}`),
  'ipvs: in a namespace, with its sysctls': `
    ip netns exec n1 ipvsadm -A -t 10.10.0.1:80 -s rr
    ip netns exec n1 sysctl -w net.ipv4.vs.conntrack=1 net.ipv4.vs.conn_reuse_mode=0 net.ipv4.vs.expire_nodest_conn=1`,
  ...Object.fromEntries(
    Object.entries(ciphers).map(([name, aead], i) => [`xfrm: ${name}`, `${sa(`0x10${i}`)} ${aead}`]),
  ),
  'xfrm: IPv6': `ip xfrm state add src fd77::1 dst fd77::2 proto esp spi 0x110 mode transport ${ciphers['aes-128-gcm']}`,
  'xfrm: ESP in UDP': `${sa('0x111')} ${ciphers['aes-128-gcm']} encap espinudp 4500 4500 0.0.0.0`,
  'xfrm: policies that name the spi, and ones that block': `
    ip xfrm policy add src 10.77.0.1/32 dst 10.77.0.2/32 proto udp dport 4789 dir out priority 1 \\
      tmpl src 10.77.0.1 dst 10.77.0.2 proto esp spi 0x100 reqid 7 mode transport
    ip xfrm policy add src 0.0.0.0/0 dst 0.0.0.0/0 proto udp dport 4789 dir out priority 2 action block
    ip xfrm policy flush; ip xfrm state flush`,
  'conntrack: list and events':
    '(timeout 2 conntrack -E -e NEW >/run/ct || true) & sleep 0.5; nft add table inet c; nft add chain inet c o "{ type filter hook output priority 0; ct state new counter; }"; ping -nc1 10.77.0.2; wait; grep -q icmp /run/ct; nft delete table inet c; conntrack -L',
  'traffic control: netem, fq_codel, clsact with mirred': `
    tc qdisc add dev eth0 root netem delay 5ms; tc qdisc replace dev eth0 root fq_codel; tc qdisc del dev eth0 root
    tc qdisc add dev eth0 clsact; tc filter add dev eth0 ingress matchall action drop; tc qdisc del dev eth0 clsact`,
  'sysctls in a namespace':
    'ip netns exec n1 sysctl -w net.ipv4.ip_forward=1 net.ipv4.conf.all.arp_ignore=1 net.ipv6.conf.all.accept_ra=0',
  'bridge-nf-call in a fresh namespace starts with 1':
    'test "$(ip netns exec n2 sysctl -n net.bridge.bridge-nf-call-iptables)" = 1',
  'ethtool switches offloads':
    'ip netns exec n1 ethtool -K vx0 tso off; ip netns exec n1 ethtool -k vx0 | grep -q "tx-tcp-segmentation: off"',
  'socket diagnosis': 'ss -tunap',
  'user namespaces, cgroups, nested overlays': `
    unshare -Urn ip link set lo up; mkdir /sys/fs/cgroup/x
    mkdir -p /run/o/l /run/o/u /run/o/w /run/o/m; mount -t overlay -o lowerdir=/run/o/l,upperdir=/run/o/u,workdir=/run/o/w o /run/o/m`,
  'redis and node': `
    redis-server --port 6399 --save "" --daemonize yes >/dev/null
    for i in $(seq 50); do redis-cli -p 6399 ping 2>/dev/null | grep -q PONG && break; sleep 0.1; done
    redis-cli -p 6399 set a b; redis-cli -p 6399 shutdown nosave; node -e 'require("net")'`,
};

describe('a guest can do', () => {
  for (const [name, script] of Object.entries(features)) {
    test(name, async () => {
      const result = await lab.guests.a.run(['bash', '-ec', script], { timeout: 20_000 });
      assert.equal(result.code, 0, `${result}\n${result.stderr}${result.stdout.slice(-500)}`);
    });
  }
});

/** One end of vxlan over ESP: guard, SAs, policies, a tunnel in a namespace of its own. */
async function tunnel(guest: Guest, self: number, peer: number, aead: string): Promise<void> {
  const from = `10.77.0.${self}`;
  const to = `10.77.0.${peer}`;
  const end = (src: string, dst: string, spi: string, dir: string) => `
    ip xfrm state add src ${src} dst ${dst} proto esp spi ${spi} reqid 7 mode transport ${aead}
    ip xfrm policy add src ${src}/32 dst ${dst}/32 proto udp dport 4789 dir ${dir} priority 1 \\
      tmpl src ${src} dst ${dst} proto esp reqid 7 mode transport`;
  await guest.ok([
    'bash',
    '-ec',
    `ip -all netns del; ip xfrm policy flush; ip xfrm state flush; nft flush ruleset
    nft 'table inet g { chain in { type filter hook input priority -300; udp dport 4789 meta ipsec missing drop; }; chain out { type filter hook output priority -300; udp dport 4789 rt ipsec missing drop; }; }'
    ${end(from, to, `0x20${self}`, 'out')}
    ${end(to, from, `0x20${peer}`, 'in')}
    ip netns add w
    ip link add vx0 netns w type vxlan id 1048577 dstport 4789 local ${from} nolearning
    ip -n w link set vx0 address 02:00:00:00:00:0${self} mtu 1400 up
    ip netns exec w ethtool -K vx0 tso off
    ip -n w addr add 10.8.0.${self}/24 dev vx0
    bridge -n w fdb replace 02:00:00:00:00:0${peer} dev vx0 dst ${to}
    ip -n w neigh replace 10.8.0.${peer} lladdr 02:00:00:00:00:0${peer} dev vx0 nud permanent`,
  ]);
}

describe('traffic through vxlan over ESP', () => {
  for (const [name, aead] of Object.entries(ciphers)) {
    test(name, async () => {
      const { a, b } = lab.guests;
      await Promise.all([tunnel(a, 1, 2, aead), tunnel(b, 2, 1, aead)]);
      const before = (await lab.stats())['a.0'];
      await a.ok('ip netns exec w ping -nc3 -i0.05 -s1300 -W2 10.8.0.2');
      const now = (await lab.stats())['a.0'];
      assert.ok(now && before);
      assert.equal(now.esp - before.esp, 3, 'three packets, all of them ESP');
      assert.equal(now.vxlan - before.vxlan, 0, 'none in clear text');
      await a.ok('ip xfrm state flush');
      assert.notEqual((await a.run('ip netns exec w ping -nc1 -W1 10.8.0.2')).code, 0, 'no SA, no traffic');
      assert.equal((await lab.stats())['a.0']?.vxlan, now.vxlan);
    });
  }
});
