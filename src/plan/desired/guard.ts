import type { NetnsState, Policy } from '../../kernel/state.ts';
import type { NodeId } from '../../model/id.ts';
import type { Family, Ip } from '../../model/ip.ts';
import { familyOf } from '../../model/ip.ts';
import type { Network } from '../../model/network.ts';
import type { Cluster } from '../../model/node.ts';
import type { View } from '../../model/view.ts';
import { guardTable, policyPriority, reqid } from '../names.ts';
import { nothing } from '../scope.ts';
import { isHere } from './here.ts';

/*
 * No packet of the encrypted port leaves or enters in clear, whatever else fails: two lines in the host, each of which is
 * enough, before the first vxlan device that uses the port, and as long as there is one.
 *   1. xfrm policies that block the port, behind those of the peers that ask for ESP.
 *   2. nft rules that drop what has not been through IPsec: they hold when somebody flushes the policies, or puts one that
 *      allows more before ours.
 */

const udp = 17;
const everywhere: Readonly<Record<Family, string>> = { 4: '0.0.0.0/0', 6: '::/0' };
const alone: Readonly<Record<Family, number>> = { 4: 32, 6: 128 };

/** The port is the whole selector of what is encrypted. */
export function portOf({ dataPort }: Cluster, { encrypted }: Network): number {
  return encrypted ? dataPort : dataPort + 1;
}

/** Does this node hold an encrypted network, or is it about to? */
export function needsGuard(view: View, self: NodeId): boolean {
  for (const { encrypted, members } of view.networks.values()) if (encrypted && members.includes(self)) return true;
  return [...view.followed.values()].some((followed) => followed.network.encrypted && isHere(followed, self));
}

/** In the host. */
export function guard({ underlayFamily, dataPort: dport }: Cluster): NetnsState {
  const all = everywhere[underlayFamily];
  const policies = (['in', 'out'] as const).map((dir): Policy => {
    const selector = { src: all, dst: all, proto: udp, dport };
    return { dir, selector, priority: policyPriority.guard, action: 'block', tmpls: [] };
  });
  const text = `chain input {
	type filter hook input priority raw; policy accept;
	udp dport ${dport} meta ipsec missing drop
}

chain output {
	type filter hook output priority raw; policy accept;
	udp dport ${dport} rt ipsec missing drop
}`;
  return { ...nothing, policies, nft: [{ family: 'inet', name: guardTable, text }] };
}

/** What one peer's packets must have come in with, and how those to it go out: by the SA with `spi`; without one not at all. */
export function peerPolicies(
  ends: { readonly local: Ip; readonly remote: Ip; readonly dport: number },
  spi: number | undefined,
): readonly Policy[] {
  const { local, remote, dport } = ends;
  const length = alone[familyOf(local)];
  const one = (dir: 'in' | 'out', src: Ip, dst: Ip): Policy => ({
    dir,
    selector: { src: `${src}/${length}`, dst: `${dst}/${length}`, proto: udp, dport },
    priority: policyPriority.peer,
    action: 'allow',
    tmpls: [
      { src, dst, proto: 'esp', mode: 'transport', reqid, ...(dir === 'out' && spi !== undefined ? { spi } : {}) },
    ],
  });
  return [one('in', remote, local), ...(spi === undefined ? [] : [one('out', local, remote)])];
}
