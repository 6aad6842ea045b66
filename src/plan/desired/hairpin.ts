import type { NodeId } from '../../model/id.ts';
import { type Cidr, familyOf } from '../../model/ip.ts';
import { backendsByService } from '../../model/service.ts';
import type { NetworkView } from '../../model/view.ts';
import { hairpinTable, netnsOf, uplink } from '../names.ts';
import { elements } from '../nft.ts';
import type { Scope } from '../scope.ts';
import { nothing } from '../scope.ts';
import { frontsOf, twinMark } from './service.ts';

const word = { 4: 'ip', 6: 'ip6' } as const;
const untracked = (pool: Cidr): string => {
  const ip = word[familyOf(pool)];
  return `	meta mark 0x00000000 ${ip} daddr ${pool} notrack\n	${ip} saddr ${pool} notrack`;
};
const hex = (mark: number): string => `0x${mark.toString(16)}`;

/*
 * Before connections are tracked, so that only what a twin masquerades is. For all other packets of a service, there and back,
 * nothing here needs that, and it costs: IPVS drops the first packet of a new connection from an old port whose last backend
 * is to get nothing more, if it finds it tracked, and the client tries again after a second (ip_vs_conn_uses_old_conntrack in
 * net/netfilter/ipvs).
 */

/**
 * Which calls go to a service's twin: those of a backend that lives here to its own service, and those from outside to one whose
 * hosts lead to their own. What a twin sends to a backend here in masquerade has that backend's address by now, and must come
 * back this way.
 */
export function hairpinScope(self: NodeId, { network, services, endpoints }: NetworkView): Scope {
  const marks = { 4: [] as string[], 6: [] as string[] };
  const outside: string[] = [];
  const backends = backendsByService(endpoints.values());
  for (const service of services.values()) {
    const here = (backends.get(service.id) ?? []).filter(({ node }) => node === self);
    if (here.length === 0) continue;
    for (const front of frontsOf(network, service)) {
      const { vip, port } = front;
      const family = familyOf(vip);
      const mark = hex(twinMark('own', front));
      if (service.publishMode === 'host' && service.publish.length > 0)
        outside.push(
          `	iifname "${uplink}" ${word[family]} daddr ${vip} ${port.proto} dport ${port.port} meta mark set ${hex(twinMark('here', front))}`,
        );
      for (const { addresses } of here) {
        const ip = addresses.find((each) => familyOf(each) === family);
        if (ip) marks[family].push(`${ip} . ${vip} . ${port.proto} . ${port.port} : ${mark}`);
      }
    }
  }
  if (services.size === 0) return { namespaces: [], wishes: [] };
  const families = network.vipPools.map(familyOf);
  const maps = families.map(
    (family) => `map twins${family} {
	type ipv${family}_addr . ipv${family}_addr . inet_proto . inet_service : mark${elements(marks[family])}
}`,
  );
  const chains = `chain twins {
	type filter hook prerouting priority raw; policy accept;
${[...outside, ...families.map((family) => `	meta mark set ${word[family]} saddr . ${word[family]} daddr . meta l4proto . th dport map @twins${family}`), ...network.vipPools.map(untracked)].join('\n')}
}

chain back {
	type nat hook postrouting priority srcnat; policy accept;
${network.vipPools.map((pool) => `	meta mark != 0x00000000 ${word[familyOf(pool)]} daddr != ${pool} masquerade`).join('\n')}
}`;
  const text = [...maps, chains].join('\n\n');
  return {
    namespaces: [],
    wishes: [
      { netns: netnsOf(network.vni), state: { ...nothing, nft: [{ family: 'inet', name: hairpinTable, text }] } },
    ],
  };
}
