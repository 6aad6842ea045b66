import { ask } from '../ask.ts';
import { command } from '../command.ts';
import { show } from '../output.ts';

export default command({
  options: (yargs) => yargs.positional('node', { type: 'string', demandOption: true, describe: 'name or id' }),
  run: async (args) => {
    const done = await ask<{ node: string; changed: boolean }>(args, 'node.trust', { node: args.node });
    show(args, done, ({ node, changed }) =>
      changed ? `${node} is taken for who it says it is now` : `${node} was never seen with another identity`,
    );
    return 0;
  },
});
