import type { ClusterJson } from '../../control/limits.ts';
import { limited } from '../../model/node.ts';
import { invalid } from '../../model/parse.ts';
import { ask, given } from '../ask.ts';
import { command } from '../command.ts';
import { show } from '../output.ts';
import { clusterText } from './cluster-inspect.ts';

const number = { type: 'string', describe: 'at most so many; none: any number', requiresArg: true } as const;

export default command({
  options: (yargs) =>
    yargs.option('max-networks', number).option('max-endpoints', number).option('max-services', number),
  run: async (args) => {
    const { maxNetworks: networks, maxEndpoints: endpoints, maxServices: services } = args;
    const words = given({ networks, endpoints, services });
    if (Object.keys(words).length === 0)
      throw invalid(`what shall be set? ${limited.map((what) => `--max-${what} N`).join(', ')}`);
    const patch = Object.fromEntries(Object.entries(words).map(([what, word]) => [what, most(what, `${word}`)]));
    show(args, await ask<ClusterJson>(args, 'cluster.set', patch), clusterText);
    return 0;
  },
});

function most(what: string, word: string): number | null {
  if (word === 'none') return null;
  if (/^\d{1,9}$/.test(word)) return Number(word);
  throw invalid(`--max-${what} ${word} is neither a number nor "none"`);
}
