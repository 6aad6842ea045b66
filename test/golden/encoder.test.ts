import { test } from 'node:test';
import { loadAddon, plain } from '../../src/kernel/native.ts';
import type { Op } from '../../src/kernel/op.ts';
import { host, type IpvsKey, type PolicyId, type Sa, type Tmpl } from '../../src/kernel/state.ts';
import { Secret } from '../../src/model/secret.ts';
import { golden } from '../support/golden.ts';

/**
 * The bytes each op becomes, one attribute a line. `UPDATE_GOLDEN=1` writes them anew: read the diff before you commit it.
 * On paper the first link asked for has index 100, the next 101, and every namespace descriptor is 9, every family of generic
 * netlink 37.
 */
const ns = { path: '/run/netns/warren-1048576' };
const mac = '02:57:00:00:00:0b';
const protocol = 201;
/** 00 01 02 …: 32 bytes of key and 4 of salt. */
const key = () => new Secret(Uint8Array.from({ length: 36 }, (_, i) => i));
const sa: Sa = {
  src: '192.0.2.1',
  dst: '192.0.2.2',
  spi: 0x1a2b3c4d,
  reqid: 4789,
  mode: 'transport',
  aead: { name: 'rfc4106(gcm(aes))', icv: 128 },
  esn: true,
  replayWindow: 128,
};
const six = { src: '2001:db8::1', dst: '2001:db8::2' };
const peer: PolicyId = {
  dir: 'out',
  selector: { src: '192.0.2.1/32', dst: '192.0.2.2/32', proto: 17, dport: 4789 },
};
const tmpl: Tmpl = { src: '192.0.2.1', dst: '192.0.2.2', proto: 'esp', mode: 'transport', reqid: 4789 };
const web: IpvsKey = { proto: 'tcp', address: '10.64.0.7', port: 80 };
const dns: IpvsKey = { proto: 'udp', address: 'fd00:64::7', port: 53 };
const ops: Record<string, Op> = {
  'link.add-bridge': {
    op: 'link.add',
    link: {
      name: 'br0',
      kind: 'bridge',
      mtu: 1416,
      address: mac,
      up: true,
      addrGenMode: 'none',
      bridge: { stp: false, mcastSnooping: false, ageingSeconds: 300 },
    },
  },
  'link.add-vxlan': {
    op: 'link.add',
    link: {
      name: 'b1048576',
      kind: 'vxlan',
      mtu: 1416,
      netns: ns,
      vxlan: { vni: 0x100000, local: '192.0.2.1', port: 4789, learning: false, proxy: true },
    },
  },
  'link.add-vxlan-v6': {
    op: 'link.add',
    link: {
      name: 'vx0',
      kind: 'vxlan',
      up: true,
      vxlan: { vni: 0x100000, local: '2001:db8::1', port: 4789, learning: true, proxy: false },
    },
  },
  'link.add-vxlan-tso': {
    op: 'link.add',
    link: {
      name: 'vx0',
      kind: 'vxlan',
      up: true,
      tso: false,
      vxlan: { vni: 0x100000, local: '192.0.2.1', port: 4789, learning: false, proxy: true },
    },
  },
  'link.add-veth': {
    op: 'link.add',
    link: {
      name: 'w0123456789ab',
      kind: 'veth',
      mtu: 1416,
      up: true,
      master: 'br0',
      addrGenMode: 'none',
      port: { learning: false, flood: false },
      veth: { peer: { name: 'eth0', netns: host, mtu: 1416, address: mac } },
    },
  },
  'link.set-detach': {
    op: 'link.set',
    link: { name: 'w0123456789ab', up: false, master: null, group: 7 },
    rename: 'x0',
  },
  'link.del': { op: 'link.del', name: 'vx0' },
  'link.delgroup': { op: 'link.delgroup', group: 7 },
  'addr.set': { op: 'addr.set', addr: { dev: 'br0', address: '10.9.0.1/16', nodad: true } },
  'addr.set-v6': { op: 'addr.set', addr: { dev: 'br0', address: 'fe80::1/64', nodad: true } },
  'addr.del': { op: 'addr.del', addr: { dev: 'br0', address: '10.9.0.1/16' } },
  'route.set': { op: 'route.set', route: { dst: '10.250.0.0/16', via: '10.9.0.1', dev: 'eth0', protocol } },
  'route.set-default-v6': { op: 'route.set', route: { dst: '::/0', via: 'fe80::1', dev: 'up0', protocol, metric: 50 } },
  'route.set-onlink-table': {
    op: 'route.set',
    route: { dst: '0.0.0.0/0', via: '169.254.0.3', dev: 'eth0', onlink: true, table: 1003, protocol },
  },
  'route.set-via-v6': { op: 'route.set', route: { dst: '10.250.0.0/16', via: 'fe80::1', dev: 'eth0', protocol } },
  'route.set-local': { op: 'route.set', route: { dst: '10.64.0.0/22', type: 'local', dev: 'lo', protocol } },
  'route.set-local-v6': { op: 'route.set', route: { dst: 'fd00:64::/112', type: 'local', dev: 'lo', protocol } },
  'route.del-local': { op: 'route.del', route: { dst: '10.64.0.0/22', type: 'local', protocol } },
  'route.del': { op: 'route.del', route: { dst: '10.250.0.0/16', protocol } },
  'rule.set': {
    op: 'rule.set',
    rule: { family: 4, priority: 100, table: 1003, fwmark: 3, from: '10.9.0.0/16', protocol },
  },
  'rule.del-v6': { op: 'rule.del', rule: { family: 6, priority: 100, table: 254, protocol } },
  'neigh.set': { op: 'neigh.set', neigh: { dev: 'vx0', dst: '10.9.0.11', lladdr: mac, protocol } },
  'neigh.del-v6': { op: 'neigh.del', neigh: { dev: 'vx0', dst: 'fd00:9::b', lladdr: mac } },
  'fdb.set-self': { op: 'fdb.set', fdb: { dev: 'vx0', lladdr: mac, via: 'self', dst: '192.0.2.2', externLearn: true } },
  'fdb.set-master': { op: 'fdb.set', fdb: { dev: 'vx0', lladdr: mac, via: 'master', externLearn: true } },
  'fdb.set-flood': { op: 'fdb.set', fdb: { dev: 'vx0', lladdr: '00:00:00:00:00:00', via: 'self', dst: '192.0.2.2' } },
  'sa.add-aes-gcm': { op: 'sa.add', sa, key: key() },
  'sa.add-chacha20-v6': {
    op: 'sa.add',
    sa: { ...sa, ...six, aead: { name: 'rfc7539esp(chacha20,poly1305)', icv: 128 } },
    key: key(),
  },
  'sa.add-small-window': { op: 'sa.add', sa: { ...sa, esn: false, replayWindow: 32 }, key: key() },
  'sa.add-large-window': { op: 'sa.add', sa: { ...sa, esn: false, replayWindow: 33 }, key: key() },
  'sa.add-encap': { op: 'sa.add', sa: { ...sa, encap: { sport: 4500, dport: 20001 } }, key: key() },
  'sa.add-keepalive': {
    op: 'sa.add',
    sa: { ...sa, replayWindow: 0, dir: 'out', encap: { sport: 4500, dport: 20001 }, keepalive: 20 },
    key: key(),
  },
  'sa.add-encap-v6': { op: 'sa.add', sa: { ...sa, ...six, encap: { sport: 4500, dport: 4500 } }, key: key() },
  'sa.add-dir-in': { op: 'sa.add', sa: { ...sa, dir: 'in' }, key: key() },
  'sa.add-dir-out': { op: 'sa.add', sa: { ...sa, dir: 'out', replayWindow: 0 }, key: key() },
  'sa.add-limits': {
    op: 'sa.add',
    sa: {
      ...sa,
      soft: { bytes: 1, packets: 2, seconds: 3, useSeconds: 4 },
      hard: { bytes: 5, packets: 6, seconds: 7, useSeconds: 8 },
    },
    key: key(),
  },
  'sa.update': { op: 'sa.update', sa: { ...sa, soft: { packets: 2 ** 40 } }, key: key() },
  'sa.del': { op: 'sa.del', sa: { dst: sa.dst, spi: sa.spi } },
  'sa.del-v6': { op: 'sa.del', sa: { dst: six.dst, spi: sa.spi } },
  'policy.add-guard': {
    op: 'policy.add',
    policy: {
      dir: 'in',
      selector: { src: '0.0.0.0/0', dst: '0.0.0.0/0', proto: 17, dport: 4789 },
      priority: 2,
      action: 'block',
      tmpls: [],
    },
  },
  'policy.set-spi': {
    op: 'policy.set',
    policy: { ...peer, priority: 1, action: 'allow', tmpls: [{ ...tmpl, spi: sa.spi }] },
  },
  'policy.set-v6': {
    op: 'policy.set',
    policy: {
      dir: 'fwd',
      selector: { src: '2001:db8::1/128', dst: '2001:db8::/64', proto: 6, sport: 1024, sportMask: 0xfc00 },
      priority: 1,
      action: 'allow',
      tmpls: [
        { ...tmpl, ...six },
        { ...tmpl, ...six, reqid: 7 },
      ],
    },
  },
  'policy.del': { op: 'policy.del', policy: peer },
  'policy.del-v6': { op: 'policy.del', policy: { dir: 'in', selector: { src: '::/0', dst: '::/0' } } },
  'ipvs.set': { op: 'ipvs.set', service: { ...web, scheduler: 'rr' } },
  'ipvs.set-v6': {
    op: 'ipvs.set',
    service: { ...dns, scheduler: 'mh', schedFlags: ['mh-fallback', 'mh-port'], persistent: 300, netmask: 64 },
  },
  'ipvs.set-netmask': { op: 'ipvs.set', service: { ...web, scheduler: 'wlc', persistent: 1, netmask: 20 } },
  'ipvs.set-fwmark-v6': {
    op: 'ipvs.set',
    service: { fwmark: 0x80000001, family: 6, scheduler: 'sh', schedFlags: ['sh-port'], ops: true },
  },
  'ipvs.del': { op: 'ipvs.del', service: dns },
  'ipvs.del-fwmark': { op: 'ipvs.del', service: { fwmark: 5, family: 4 } },
  'ipvs.dest.set': {
    op: 'ipvs.dest.set',
    dest: { service: web, address: '10.9.0.11', port: 80, method: 'route', weight: 1 },
  },
  'ipvs.dest.set-v6': {
    op: 'ipvs.dest.set',
    dest: { service: dns, address: 'fd00:9::b', port: 5353, method: 'masq', weight: 0, upper: 100, lower: 80 },
  },
  'ipvs.dest.del': { op: 'ipvs.dest.del', dest: { service: web, address: '10.9.0.11', port: 80 } },
  'ipvs.timeouts.set': { op: 'ipvs.timeouts.set', timeouts: { tcp: 7440, tcpFin: 120, udp: 300 } },
  'fdb.del': { op: 'fdb.del', fdb: { dev: 'vx0', lladdr: mac, via: 'master' } },
};

const addon = loadAddon();

for (const [name, op] of Object.entries(ops)) {
  test(`encodes ${name}`, () => {
    golden(`encoder/${name}`, addon.encode(plain(op)).map(print).join('\n'));
  });
}

type Encoded = ReturnType<typeof addon.encode>[number];

/** `nlmsghdr`, the family's header, then one attribute a line: offset, length and type, payload, name. */
function print({ bytes, marks }: Encoded): string {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const first = marks[0]?.offset ?? bytes.length;
  const lines = [
    line(0, bytes.subarray(0, 16), '', `nlmsghdr type ${view.getUint16(4, true)}`),
    line(16, bytes.subarray(16, first), '', 'header'),
  ];
  marks.forEach(({ offset, depth, name }, i) => {
    const end = Math.min(marks[i + 1]?.offset ?? bytes.length, offset + ((view.getUint16(offset, true) + 3) & ~3));
    lines.push(
      line(
        offset,
        bytes.subarray(offset, offset + 4),
        '  '.repeat(depth),
        `${name} (${view.getUint16(offset + 2, true)})`,
        bytes.subarray(offset + 4, end),
      ),
    );
  });
  return `${lines.join('\n')}\n`;
}

function line(
  offset: number,
  bytes: Uint8Array,
  indent: string,
  name: string,
  payload: Uint8Array = new Uint8Array(),
): string {
  const hex = (part: Uint8Array) =>
    Buffer.from(part)
      .toString('hex')
      .replace(/(.{8})(?=.)/g, '$1 ');
  return `${String(offset).padStart(4)}  ${indent}${name}: ${[hex(bytes), hex(payload)].filter((part) => part).join(' | ')}`;
}
