import { ask, given } from '../ask.ts';
import { command } from '../command.ts';
import { show } from '../output.ts';

export default command({
  options: (yargs) =>
    yargs
      .positional('network', { type: 'string', array: true, demandOption: true, describe: 'names or ids' })
      .option('force', { alias: 'f', type: 'boolean', describe: 'although endpoints are attached: they lose it' })
      .option('if-exists', { type: 'boolean', describe: 'fine when there is none' }),
  run: async (args) => {
    const removed: string[] = [];
    for (const network of args.network) {
      const params = { network, ...given({ force: args.force, ifExists: args.ifExists }) };
      removed.push(...(await ask<{ removed: string[] }>(args, 'network.remove', params)).removed);
    }
    show(args, { removed }, (result) => result.removed.join('\n'));
    return 0;
  },
});
