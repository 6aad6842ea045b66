import { command } from '../command.ts';
import { fields, show } from '../output.ts';
import { requireRoot } from '../root.ts';

export default command({
  options: (yargs) =>
    yargs.option('once', { type: 'boolean', demandOption: true, describe: 'one full pass, then exit' }),
  run: async (args) => {
    requireRoot();
    const [{ syncOnce }, { pathsOf, requireConfig }, { openLog }] = await Promise.all([
      import('../../agent/sync-once.ts'),
      import('../../agent/config.ts'),
      import('../../agent/log.ts'),
    ]);
    const paths = pathsOf(args);
    const status = await syncOnce(requireConfig(paths.config), paths, openLog(args.verbose === true));
    show(args, status as Record<string, unknown>, fields);
    return 0;
  },
});
