import { command } from '../command.ts';
import { show } from '../output.ts';
import { requireRoot } from '../root.ts';

export default command({
  options: (yargs) =>
    yargs.option('force', {
      alias: 'f',
      type: 'boolean',
      default: false,
      describe: 'although endpoints live here, or the store is out of reach',
    }),
  run: async (args) => {
    requireRoot();
    const [{ leaveHost }, { pathsOf }] = await Promise.all([
      import('../../agent/leave.ts'),
      import('../../agent/config.ts'),
    ]);
    const result = await leaveHost(pathsOf(args), args.force);
    for (const warning of result.warnings) process.stderr.write(`warning: ${warning}\n`);
    show(args, result, ({ left, node }) =>
      left ? `${node} has left; nothing of warren is on this host` : 'this host was in no cluster',
    );
    return 0;
  },
});
