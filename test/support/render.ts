import type { Op } from '../../src/kernel/op.ts';
import type { IpvsKey, IpvsService, Link, Policy, PolicyId, Sa } from '../../src/kernel/state.ts';
import type { Step } from '../../src/plan/scope.ts';

/** Steps as the lines a network engineer would type, for golden files. */
export function render(steps: readonly Step[]): string {
  return steps.map(({ netns, op }) => `${where(netns.path)}${line(op)}\n`).join('');
}

const where = (path: string): string => (path === '' ? '' : `[${path.replace('/run/netns/', '')}] `);

function line(op: Op): string {
  switch (op.op) {
    case 'link.add':
      return `ip link add ${linkText(op.link)}`;
    case 'link.set':
      return `ip link set ${linkText(op.link)}${op.rename ? ` name ${op.rename}` : ''}`;
    case 'link.del':
      return `ip link del ${op.name}`;
    case 'link.delgroup':
      return `ip link del group ${op.group}`;
    case 'addr.set':
      return `ip addr replace ${op.addr.address} dev ${op.addr.dev}${op.addr.nodad ? ' nodad' : ''}`;
    case 'addr.del':
      return `ip addr del ${op.addr.address} dev ${op.addr.dev}`;
    case 'route.set':
    case 'route.del': {
      const { dst, type, via, dev, protocol } = op.route;
      return `ip route ${op.op === 'route.set' ? 'replace' : 'del'} ${type ? `${type} ` : ''}${dst}${via ? ` via ${via}` : ''}${dev ? ` dev ${dev}` : ''} proto ${protocol}`;
    }
    case 'rule.set':
    case 'rule.del':
      return `ip rule ${op.op === 'rule.set' ? 'add' : 'del'} ${JSON.stringify(op.rule)}`;
    case 'neigh.set':
      return `ip neigh replace ${op.neigh.dst} lladdr ${op.neigh.lladdr} dev ${op.neigh.dev} proto ${op.neigh.protocol}`;
    case 'neigh.del':
      return `ip neigh del ${op.neigh.dst} dev ${op.neigh.dev}`;
    case 'fdb.set':
    case 'fdb.del': {
      const { lladdr, dev, via, dst, externLearn } = op.fdb;
      return `bridge fdb ${op.op === 'fdb.set' ? 'replace' : 'del'} ${lladdr} dev ${dev} ${via}${dst ? ` dst ${dst}` : ''}${externLearn ? ' extern_learn' : ''}`;
    }
    case 'sa.add':
    case 'sa.update':
      return `ip xfrm state ${op.op.slice(3)} ${saText(op.sa)}`;
    case 'sa.del':
      return `ip xfrm state del dst ${op.sa.dst} proto esp spi ${hex(op.sa.spi)}`;
    case 'policy.add':
    case 'policy.set':
      return `ip xfrm policy ${op.op === 'policy.add' ? 'add' : 'update'} ${policyText(op.policy)}`;
    case 'policy.del':
      return `ip xfrm policy del ${policyIdText(op.policy)}`;
    case 'ipvs.set':
      return `ipvsadm -A ${serviceText(op.service)}`;
    case 'ipvs.del':
      return `ipvsadm -D ${keyText(op.service)}`;
    case 'ipvs.dest.set': {
      const { service, method, weight, upper, lower } = op.dest;
      const limits = `${upper ? ` -x ${upper}` : ''}${lower ? ` -y ${lower}` : ''}`;
      const flag = { route: '-g', masq: '-m', tunnel: '-i', other: '?' }[method];
      return `ipvsadm -a ${keyText(service)} -r ${place(op.dest)} ${flag} -w ${weight}${limits}`;
    }
    case 'ipvs.dest.del':
      return `ipvsadm -d ${keyText(op.dest.service)} -r ${place(op.dest)}`;
    case 'ipvs.timeouts.set':
      return `ipvsadm --set ${op.timeouts.tcp} ${op.timeouts.tcpFin} ${op.timeouts.udp}`;
    case 'sysctl.set':
      return `sysctl -w ${op.sysctl.key.replaceAll('/', '.')}=${op.sysctl.value}`;
    case 'nft.set':
      return `nft replace table ${op.table.family} ${op.table.name}: ${op.table.text.replace(/\s+/g, ' ')}`;
    case 'nft.del':
      return `nft delete table ${op.family} ${op.name}`;
    case 'nft.element.set':
    case 'nft.element.del': {
      const verb = op.op === 'nft.element.set' ? 'add' : 'delete';
      return `nft ${verb} element ${op.family} ${op.table} ${op.set} { ${op.elements.join(', ')} }`;
    }
    case 'netns.add':
      return `ip netns add ${op.name}`;
    case 'netns.del':
      return `ip netns del ${op.name}`;
  }
}

const hex = (spi: number): string => `0x${spi.toString(16).padStart(8, '0')}`;

function saText(sa: Sa): string {
  const { src, dst, spi, reqid, mode, aead, esn, replayWindow, dir, encap, soft, hard } = sa;
  const limits = Object.entries({ soft, hard }).flatMap(([kind, limit]) =>
    Object.entries(limit ?? {}).map(([what, value]) => `limit ${what}-${kind} ${value}`),
  );
  const parts = [
    `src ${src} dst ${dst} proto esp spi ${hex(spi)} reqid ${reqid} mode ${mode}`,
    aead && `aead ${aead.name} [secret] ${aead.icv}`,
    replayWindow && `replay-window ${replayWindow}`,
    esn && 'flag esn',
    dir && `dir ${dir}`,
    encap && `encap espinudp ${encap.sport} ${encap.dport}`,
    ...limits,
  ];
  return parts.filter((part) => part).join(' ');
}

const place = ({ address, port }: { address: string; port: number }): string =>
  address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;

function keyText(key: IpvsKey): string {
  if ('fwmark' in key) return `-f ${key.fwmark}${key.family === 6 ? ' -6' : ''}`;
  return `${key.proto === 'tcp' ? '-t' : '-u'} ${place(key)}`;
}

function serviceText(service: IpvsService): string {
  const { scheduler, schedFlags = [], persistent, netmask, ops } = service;
  const parts = [
    `${keyText(service)} -s ${scheduler}`,
    schedFlags.length > 0 && `-b ${schedFlags.join(',')}`,
    persistent && `-p ${persistent}`,
    persistent && netmask && `-M ${netmask}`,
    ops && '-o',
  ];
  return parts.filter((part) => part).join(' ');
}

function policyIdText({ dir, selector }: PolicyId): string {
  const words = Object.entries(selector).map(([word, value]) => `${word} ${value}`);
  return `${words.join(' ')} dir ${dir}`;
}

function policyText(policy: Policy): string {
  const { priority, action, tmpls } = policy;
  const texts = tmpls.map(
    ({ src, dst, proto, spi, reqid, mode }) =>
      ` tmpl src ${src} dst ${dst} proto ${proto}${spi ? ` spi ${hex(spi)}` : ''} reqid ${reqid} mode ${mode}`,
  );
  return `${policyIdText(policy)} priority ${priority} action ${action}${texts.join('')}`;
}

function linkText(link: Link): string {
  const { name, kind, mtu, address, up, master, group, addrGenMode, tso, port, vxlan, bridge, veth, netns } = link;
  const parts = [
    name,
    address && `address ${address}`,
    mtu && `mtu ${mtu}`,
    up === undefined ? undefined : up ? 'up' : 'down',
    master === null ? 'nomaster' : master && `master ${master}`,
    group && `group ${group}`,
    addrGenMode && `addrgenmode ${addrGenMode}`,
    tso !== undefined && `tso ${tso ? 'on' : 'off'}`,
    netns && `netns ${netns.path.replace('/run/netns/', '')}`,
    kind && `type ${kind}`,
    vxlan &&
      `id ${vxlan.vni} local ${vxlan.local} dstport ${vxlan.port}${vxlan.learning ? '' : ' nolearning'}${vxlan.proxy ? ' proxy' : ''}`,
    bridge && `stp_state ${Number(bridge.stp)} mcast_snooping ${Number(bridge.mcastSnooping)}`,
    veth &&
      `peer ${veth.peer.name} mtu ${veth.peer.mtu} address ${veth.peer.address} netns ${veth.peer.netns.path.replace('/run/netns/', '') || 'HOST'}`,
    port &&
      Object.entries(port)
        .map(([flag, value]) => `${flag} ${value ? 'on' : 'off'}`)
        .join(' '),
  ];
  return parts.filter(Boolean).join(' ');
}
