import { command } from '../command.ts';
import { show } from '../output.ts';
import { requireRoot } from '../root.ts';
import { type Status, statusText } from '../status-text.ts';

export default command({
  options: (yargs) =>
    yargs.option('once', { type: 'boolean', demandOption: true, describe: 'one full pass, then exit' }),
  run: async (args) => {
    requireRoot();
    const [{ syncOnce }, { isVerbose, pathsOf, requireConfig }, { openLog }] = await Promise.all([
      import('../../agent/sync-once.ts'),
      import('../../agent/config.ts'),
      import('../../agent/log.ts'),
    ]);
    const paths = pathsOf(args);
    const config = requireConfig(paths.config);
    const status = await syncOnce(config, paths, openLog(isVerbose(args, config)));
    show(args, status as Status, statusText);
    return 0;
  },
});
