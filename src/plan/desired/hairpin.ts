import type { NodeId } from '../../model/id.ts';
import { familyOf } from '../../model/ip.ts';
import { backendsOf } from '../../model/service.ts';
import type { NetworkView } from '../../model/view.ts';
import { hairpinTable, netnsOf } from '../names.ts';
import { elements } from '../nft.ts';
import type { Scope } from '../scope.ts';
import { nothing } from '../scope.ts';
import { frontsOf, twinMark } from './service.ts';

/**
 * Which calls go to a service's twin: those of a backend that lives here to its own service. What the twin sends to a backend
 * here has that backend's address by now, and must come back this way.
 */
export function hairpinScope(self: NodeId, { network, services, endpoints }: NetworkView): Scope {
  const marks = { 4: [] as string[], 6: [] as string[] };
  for (const service of services.values()) {
    const here = backendsOf(service.id, endpoints).filter(({ node }) => node === self);
    if (here.length === 0) continue;
    for (const { vip, pool, port } of frontsOf(network, service)) {
      const family = familyOf(vip);
      const mark = `0x${twinMark(pool, vip, port).toString(16)}`;
      for (const { addresses } of here) {
        const ip = addresses.find((each) => familyOf(each) === family);
        if (ip) marks[family].push(`${ip} . ${vip} . ${port.proto} . ${port.port} : ${mark}`);
      }
    }
  }
  if (services.size === 0) return { namespaces: [], wishes: [] };
  const families = network.vipPools.map(familyOf);
  const word = { 4: 'ip', 6: 'ip6' } as const;
  const maps = families.map(
    (family) => `map twins${family} {
	type ipv${family}_addr . ipv${family}_addr . inet_proto . inet_service : mark${elements(marks[family])}
}`,
  );
  const chains = `chain twins {
	type filter hook prerouting priority mangle; policy accept;
${families.map((family) => `	meta mark set ${word[family]} saddr . ${word[family]} daddr . meta l4proto . th dport map @twins${family}`).join('\n')}
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
