import type { Kernel } from '../kernel/kernel.ts';
import type { Op } from '../kernel/op.ts';
import type { Policy, Sa } from '../kernel/state.ts';
import { host } from '../kernel/state.ts';
import { saKey } from '../keys/sa.ts';
import { policyName } from '../plan/diff.ts';
import { isOurs, reqid } from '../plan/names.ts';

/** The host's IPsec at one moment, ours and others': SAs by saKey, policies by policyName. */
export type Ipsec = { readonly sas: ReadonlyMap<string, Sa>; readonly policies: ReadonlyMap<string, Policy> };

export async function readIpsec(kernel: Kernel): Promise<Ipsec> {
  const { sas, policies } = await kernel.read(host, { sas: true, policies: true });
  return {
    sas: new Map(sas.map((sa) => [saKey(sa), sa])),
    policies: new Map(policies.map((policy) => [policyName(policy), policy])),
  };
}

/** Away with the peers' SAs and policies that are ours by their mark and lead where nobody of ours is. */
export function tidyOps({ sas, policies }: Ipsec, belongs: (src: string, dst: string) => boolean): Op[] {
  const bare = (prefix: string) => prefix.slice(0, prefix.indexOf('/'));
  const stray = [...policies.values()].filter(
    (policy) => isOurs.peerPolicy(policy) && !belongs(bare(policy.selector.src), bare(policy.selector.dst)),
  );
  const old = [...sas.values()].filter(
    ({ src, dst, partial, ...sa }) => !partial && sa.reqid === reqid && !belongs(src, dst),
  );
  return [...policiesAway(stray), ...old.map(({ dst, spi }) => ({ op: 'sa.del', sa: { dst, spi } }) as const)];
}

/** Of the guard, which goes last of all. */
export function unguardOps({ policies }: Ipsec): Op[] {
  return policiesAway([...policies.values()].filter(isOurs.policy));
}

function policiesAway(policies: readonly Policy[]): Op[] {
  return policies.map(({ dir, selector }) => ({ op: 'policy.del', policy: { dir, selector } }) as const);
}

/**
 * A route that was looked up while somebody's policy let packets pass is used on after that policy is gone, and nft drops
 * them for ever (seen on Linux 6.12): an update of any policy makes the kernel look again. So whenever those of others
 * change, the guard's are written once more.
 */
export class ForeignPolicies {
  /** Their names, as last seen. */
  #foreign = '';

  revalidateOps({ policies }: Ipsec): Op[] {
    const others = [...policies].filter(([, policy]) => !isOurs.policy(policy) && !isOurs.peerPolicy(policy));
    const foreign = others
      .map(([name]) => name)
      .sort()
      .join('\n');
    if (foreign === this.#foreign) return [];
    this.#foreign = foreign;
    const ours = [...policies.values()].filter(isOurs.policy);
    return ours.map((policy) => ({ op: 'policy.set', policy }) as const);
  }
}
