import { WarrenError } from '../../model/error.ts';
import { given } from '../ask.ts';
import { command } from '../command.ts';
import { requireRoot } from '../root.ts';

export default command({
  options: (yargs) =>
    yargs.option('resync', {
      type: 'number',
      describe: 'seconds between looks at everything, although the kernel and the store said nothing; 0: never',
      defaultDescription: '30',
    }),
  run: async (args) => {
    requireRoot();
    const [{ Agent }, { methodsOf }, { isVerbose, pathsOf, requireConfig }, { openLog }] = await Promise.all([
      import('../../agent/agent.ts'),
      import('../../agent/methods.ts'),
      import('../../agent/config.ts'),
      import('../../agent/log.ts'),
    ]);
    const paths = pathsOf(args);
    const config = requireConfig(paths.config);
    const resync = seconds(args.resync ?? process.env.WARREN_RESYNC);
    const agent = new Agent({ ...config, ...given({ resync }) }, paths, openLog(isVerbose(args, config)));
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.once(signal, () => void agent.stop());
    try {
      await agent.start(methodsOf(agent));
      await agent.ended;
    } finally {
      await agent.stop();
    }
    return 0;
  },
});

function seconds(given: string | number | undefined): number | undefined {
  const value = given === undefined ? undefined : Number(given);
  if (value === undefined || (value >= 0 && value <= 86_400)) return value;
  throw new WarrenError('invalid_input', `--resync ${given} is not a number of seconds up to 86400`);
}
