import { readFileSync } from 'node:fs';
import { WarrenError } from '../../model/error.ts';
import { given } from '../ask.ts';
import { command } from '../command.ts';
import { show } from '../output.ts';
import { requireRoot } from '../root.ts';
import { hostOptions, hostSettings } from '../setting.ts';
import { fields } from '../table.ts';
import { joinLine } from './token.ts';

export default command({
  options: (yargs) =>
    yargs
      .option('cluster', { type: 'string', describe: 'the cluster’s name', defaultDescription: 'default' })
      .option('store', {
        type: 'string',
        describe: 'redis:// URL, or - to read it from stdin; without it this host runs the store',
      })
      .option('store-file', { type: 'string', describe: 'a file that holds the URL' })
      .option('data-port', {
        type: 'number',
        describe: 'VXLAN UDP port of encrypted networks; plain ones use the next',
        defaultDescription: '4789',
      })
      .option('advertise', hostOptions.advertise)
      .option('local', hostOptions.local)
      .option('name', hostOptions.name)
      .option('encap', hostOptions.encap),
  run: async (args) => {
    requireRoot();
    const [{ initHost }, { pathsOf }] = await Promise.all([
      import('../../agent/init.ts'),
      import('../../agent/config.ts'),
    ]);
    const { env } = process;
    const cluster = args.cluster ?? env.WARREN_CLUSTER;
    const dataPort = args.dataPort ?? (env.WARREN_DATA_PORT === undefined ? undefined : Number(env.WARREN_DATA_PORT));
    const store = storeUrl(args) ?? env.WARREN_STORE;
    const result = await initHost(given({ cluster, dataPort, store, ...hostSettings(args) }), pathsOf(args));
    show(
      args,
      { node: result.node, cluster: result.cluster },
      (shown) =>
        `${fields({ node: shown.node.name, address: shown.node.address, cluster: shown.cluster.name, store: result.store })}\n\n${next(result)}`,
    );
    return 0;
  },
});

function next({ token, node }: { token?: string; node: { address: string } }): string {
  const more = token ? `\nthen ${joinLine(token, node.address)}` : '';
  return `next: warren agent   (in the foreground, or from your service manager)${more}`;
}

/** From a file, stdin or the environment; a password on the command line is in everybody's process list. */
function storeUrl(args: { store?: string | undefined; storeFile?: string | undefined }): string | undefined {
  const onArgv = process.argv.some((word) => /^(--store=)?[a-z+]+:\/\/[^/@]*:[^/@]+@/.test(word));
  if (onArgv)
    throw new WarrenError(
      'password_on_argv',
      'a password on the command line can be read by every user of this host',
      'give the URL by --store-file FILE, --store - (stdin) or WARREN_STORE',
    );
  if (args.storeFile !== undefined) return readUrl(args.storeFile);
  return args.store === '-' ? readUrl('/dev/stdin') : args.store;
}

function readUrl(path: string): string {
  try {
    return readFileSync(path === '/dev/stdin' ? 0 : path, 'utf8').trim();
  } catch (error) {
    throw new WarrenError('invalid_input', `cannot read the store’s URL from ${path}: ${(error as Error).message}`);
  }
}
