import { command } from '../command.ts';
import { requireRoot } from '../root.ts';

export default command({
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
    const agent = new Agent(config, paths, openLog(isVerbose(args, config)));
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
