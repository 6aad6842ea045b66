import { readFileSync } from 'node:fs';
import type { RestoreResult } from '../../control/backup.ts';
import { invalid } from '../../model/parse.ts';
import { command } from '../command.ts';
import { show } from '../output.ts';
import { requireRoot } from '../root.ts';

export default command({
  options: (yargs) =>
    yargs
      .positional('file', { type: 'string', demandOption: true, describe: 'of warren backup; - is standard input' })
      .option('force', { type: 'boolean', default: false, describe: 'although there are networks in the store' }),
  run: async (args) => {
    requireRoot();
    const text = readGiven(args.file);
    const [{ restoreCluster }, { pathsOf }] = await Promise.all([
      import('../../agent/backup.ts'),
      import('../../agent/config.ts'),
    ]);
    const result = await restoreCluster(pathsOf(args), text, args.force);
    show(args, result, people);
    return result.conflicts.length > 0 ? 1 : 0;
  },
});

function readGiven(file: string): string {
  try {
    return readFileSync(file === '-' ? 0 : file, 'utf8');
  } catch (error) {
    throw invalid(`cannot read the backup: ${(error as Error).message}`);
  }
}

function people({ at, networks, endpoints, services, alive, conflicts }: RestoreResult): string {
  const told = alive.length > 0 ? `; ${alive.join(', ')} tell themselves what they hold` : '';
  const lost = conflicts.map(({ kind, id, code }) => `${kind} ${id} is not back: ${code}`);
  return [`as of ${at}: ${networks} networks, ${endpoints} endpoints, ${services} services${told}`, ...lost].join('\n');
}
