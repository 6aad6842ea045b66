/** Who reaches whom: a sample of pairs, of one network and of two, all at once. */
import type { Host } from './cluster.ts';
import type { Endpoint, Model } from './model.ts';

const perHost = 6;
/** Who spoke with the one that had an address before looks for it at the old MAC for so long. */
const forgetMs = 60_000;

export type Pair = { from: Endpoint; address: string; reaches: boolean };

export function pairs(model: Model, next: (limit: number) => number): Pair[] {
  const sample: Pair[] = [];
  for (const node of new Set(model.endpoints.map((endpoint) => endpoint.node))) {
    const here = model.endpoints.filter((endpoint) => endpoint.node === node);
    for (let i = 0; i < perHost; i++) {
      const from = here[next(here.length)] as Endpoint;
      // Half of them where an answer is expected: of five networks most pairs share none.
      const mates = model.endpoints.filter(({ network }) => network === from.network);
      const among = i % 2 === 0 ? mates : model.endpoints;
      const to = among[next(among.length)] as Endpoint;
      if ([from, to].some(({ heir = 0 }) => Date.now() - heir < forgetMs)) continue;
      const address = to.addresses[next(to.addresses.length)] as string;
      const known = model.in({ node, netns: from.netns }).flatMap(({ network }) => model.network(network) ?? []);
      const shared = known.some(({ name }) => name === to.network);
      // Where networks overlap the same address may be somebody of its own.
      const other = model.network(to.network)?.subnets ?? [];
      const overlaps = known.some(({ name, subnets }) => name !== to.network && subnets.some((s) => other.includes(s)));
      if (!overlaps) sample.push({ from, address, reaches: shared });
    }
  }
  return sample;
}

const fact = (pair: Pair, reaches: boolean): string =>
  `${pair.from.netns} ${reaches ? 'reaches' : 'does not reach'} ${pair.address}`;
export const wantedReach = (sample: readonly Pair[]): string[] => [
  ...new Set(sample.map((pair) => fact(pair, pair.reaches))),
];

export async function foundReach(hosts: readonly Host[], sample: readonly Pair[]): Promise<string[]> {
  const found = hosts.map(async ({ guest, name }) => {
    const mine = sample.filter(({ from }) => from.node === name);
    const ping = ({ from, address, reaches }: Pair, i: number): string =>
      `(nsenter --net=/run/netns/${from.netns} ping -nqc1 -W${reaches ? 2 : 1} ${address} >/dev/null 2>&1 && echo ${i}) &`;
    const answered = (await guest.ok(`${mine.map(ping).join('\n')}\nwait`)).split('\n');
    return mine.map((pair, i) => fact(pair, answered.includes(`${i}`)));
  });
  return [...new Set((await Promise.all(found)).flat())];
}
