import { host } from '../../kernel/state.ts';
import type { NodeId } from '../../model/id.ts';
import type { View } from '../../model/view.ts';
import { namespaceOf, tableName } from '../names.ts';
import type { Scope } from '../scope.ts';
import { nothing } from '../scope.ts';
import { isHere } from './network.ts';

/** New flows never enter a network by its uplink: endpoints of one network must not reach another through the host. */
const table = `chain forward {
	type filter hook forward priority filter; policy accept;
	oifname "wup*" ct state new drop
}

chain egress {
	type nat hook postrouting priority srcnat; policy accept;
	iifname "wup*" oifname != "wup*" masquerade
}`;

/** What the host itself needs, and which of our namespaces may exist at all. */
export function nodeScope(view: View, self: NodeId): Scope {
  const here = [...view.followed.values()].filter((followed) => isHere(followed, self));
  const namespaces = here.map(({ network }) => namespaceOf(network.vni));
  if (!here.some(({ network }) => !network.internal)) return { namespaces, wishes: [{ netns: host, state: nothing }] };
  return {
    namespaces,
    wishes: [
      {
        netns: host,
        state: {
          ...nothing,
          sysctls: [
            { key: 'net/ipv4/ip_forward', value: '1' },
            { key: 'net/ipv6/conf/all/forwarding', value: '1' },
          ],
          nft: [{ family: 'inet', name: tableName, text: table }],
        },
      },
    ],
  };
}
