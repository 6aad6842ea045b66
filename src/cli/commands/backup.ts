import { command } from '../command.ts';
import { show } from '../output.ts';
import { requireRoot } from '../root.ts';

export default command({
  options: (yargs) =>
    yargs.positional('file', { type: 'string', default: '-', describe: 'where to, 0600; - is standard output' }),
  run: async (args) => {
    requireRoot();
    const [{ backupCluster }, { pathsOf }, { writePrivate }] = await Promise.all([
      import('../../agent/backup.ts'),
      import('../../agent/config.ts'),
      import('../../agent/private-file.ts'),
    ]);
    const saved = await backupCluster(pathsOf(args));
    const text = JSON.stringify(saved);
    if (args.file === '-') {
      process.stdout.write(`${text}\n`);
      return 0;
    }
    writePrivate(args.file, `${text}\n`);
    const { at, cluster, nodes, networks } = saved;
    const result = { file: args.file, at, cluster: cluster.name, nodes: nodes.length, networks: networks.length };
    show(args, result, () => `${networks.length} networks of ${nodes.length} nodes saved in ${args.file}`);
    return 0;
  },
});
