import { ask, given } from '../ask.ts';
import { command } from '../command.ts';
import { show } from '../output.ts';

export default command({
  options: (yargs) =>
    yargs
      .positional('service', { type: 'string', array: true, demandOption: true, describe: 'names or ids' })
      .option('if-exists', { type: 'boolean', describe: 'fine when there is none' }),
  run: async (args) => {
    const removed: string[] = [];
    for (const service of args.service) {
      const params = { service, ...given({ ifExists: args.ifExists }) };
      removed.push(...(await ask<{ removed: string[] }>(args, 'service.remove', params)).removed);
    }
    show(args, { removed }, (result) => result.removed.join('\n'));
    return 0;
  },
});
