import type { Op } from '../kernel/op.ts';
import { placeOf } from './names.ts';
import type { Step } from './scope.ts';

/**
 * Make before break; parents before children, and the reverse when deleting. A step's rank is that of the first
 * line it matches. Rules and sysctls stand before the links they guard; a link that must be replaced goes first.
 */
const ranks: readonly (readonly [place: string, ops: readonly Op['op'][]])[] = [
  ['host', ['netns.add']],
  // The guard stands before there is a device whose packets it stops, and goes after the last one.
  ['host', ['sysctl.set', 'policy.set', 'nft.set', 'nft.element.del', 'nft.element.set']],
  ['network', ['nft.set', 'nft.element.del', 'nft.element.set', 'sysctl.set']],
  ['network', ['link.del']],
  ['host', ['link.add']],
  ['network', ['link.add', 'link.set']],
  ['host', ['link.set', 'addr.set', 'route.set', 'rule.set']],
  ['network', ['addr.set']],
  ['network', ['route.set', 'rule.set', 'neigh.set', 'fdb.set']],
  [
    'endpoint',
    ['link.set', 'sysctl.set', 'addr.set', 'route.set', 'rule.set', 'nft.set', 'nft.element.del', 'nft.element.set'],
  ],
  // A backend is there before it is balanced to, and is not balanced to any more before it goes.
  ['network', ['ipvs.timeouts.set', 'ipvs.set', 'ipvs.dest.set']],
  ['network', ['ipvs.dest.del', 'ipvs.del']],
  ['endpoint', ['nft.del', 'route.del', 'rule.del', 'addr.del']],
  ['network', ['fdb.del', 'neigh.del', 'route.del', 'rule.del', 'addr.del', 'nft.del']],
  ['host', ['route.del', 'rule.del', 'addr.del', 'link.del']],
  ['network', ['link.delgroup']],
  ['host', ['netns.del']],
  ['host', ['nft.del', 'policy.del']],
];

function rankOf({ netns, op }: Step): number {
  const place = placeOf(netns);
  const rank = ranks.findIndex(([where, ops]) => where === place && ops.includes(op.op));
  if (rank < 0) throw new Error(`no rank for ${op.op} in the ${place}'s namespace`);
  return rank;
}

/** Within a rank by namespace, so that each needs one visit, and by kind of op, in the order of the line. */
export function order(steps: readonly Step[]): Step[] {
  const places = new Map<string, number>();
  for (const { netns } of steps) if (!places.has(netns.path)) places.set(netns.path, places.size);
  return steps
    .map((step, at) => {
      const rank = rankOf(step);
      const kind = (ranks[rank]?.[1] ?? []).indexOf(step.op.op);
      return { step, sort: [rank, places.get(step.netns.path) ?? 0, kind, at] };
    })
    .sort((a, b) => {
      const at = a.sort.findIndex((value, i) => value !== b.sort[i]);
      return at < 0 ? 0 : (a.sort[at] ?? 0) - (b.sort[at] ?? 0);
    })
    .map(({ step }) => step);
}
