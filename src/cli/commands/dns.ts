import { child } from '../child.ts';
import { command } from '../command.ts';
import { requireRoot } from '../root.ts';

export default command({
  run: async (args) => {
    requireRoot();
    const [{ dnsCommand }, { pathsOf }] = await Promise.all([
      import('../../agent/dns.ts'),
      import('../../agent/config.ts'),
    ]);
    const [program, ...argv] = dnsCommand(pathsOf(args));
    return child(program, argv).status;
  },
});
