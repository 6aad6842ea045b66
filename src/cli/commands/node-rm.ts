import { ask, given } from '../ask.ts';
import { command } from '../command.ts';
import { show } from '../output.ts';

export default command({
  options: (yargs) =>
    yargs
      .positional('node', { type: 'string', array: true, demandOption: true, describe: 'names or ids' })
      .option('force', {
        alias: 'f',
        type: 'boolean',
        describe: 'although its agent lives, or endpoints are there: they lose their networks',
      })
      .option('if-exists', { type: 'boolean', describe: 'fine when there is none' }),
  run: async (args) => {
    const removed: string[] = [];
    for (const node of args.node) {
      const params = { node, ...given({ force: args.force, ifExists: args.ifExists }) };
      removed.push(...(await ask<{ removed: string[] }>(args, 'node.remove', params)).removed);
    }
    show(args, { removed }, (result) => result.removed.join('\n'));
    return 0;
  },
});
