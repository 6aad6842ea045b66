import { readFileSync } from 'node:fs';
import { espPort } from '../../keys/encap.ts';
import { WarrenError } from '../../model/error.ts';
import { given } from '../ask.ts';
import { command } from '../command.ts';
import { show } from '../output.ts';
import { requireRoot } from '../root.ts';
import { hostOptions, hostSettings } from '../setting.ts';
import { fields, warning } from '../table.ts';

export default command({
  options: (yargs) =>
    yargs
      .positional('token', {
        type: 'string',
        demandOption: true,
        describe: 'the join token; - to read it from stdin, @ from --token-file or WARREN_TOKEN',
      })
      .positional('manager', { type: 'string', demandOption: true })
      .option('token-file', { type: 'string', describe: 'a file that holds the token; write @ for TOKEN' })
      .option('verify', {
        type: 'boolean',
        default: true,
        describe: 'let a manager try whether it reaches this host; --no-verify joins all the same',
      })
      .option('advertise', hostOptions.advertise)
      .option('local', hostOptions.local)
      .option('name', hostOptions.name)
      .option('encap', hostOptions.encap),
  run: async (args) => {
    requireRoot();
    const [{ joinHost }, { pathsOf }] = await Promise.all([
      import('../../agent/join.ts'),
      import('../../agent/config.ts'),
    ]);
    const result = await joinHost(
      tokenOf(args),
      args.manager,
      { ...given(hostSettings(args)), verify: args.verify },
      pathsOf(args),
    );
    show(
      args,
      { node: result.node, cluster: result.cluster, silentPorts: result.silent },
      ({ node, cluster, silentPorts }) =>
        `${fields({ node: node.name, address: node.address, cluster: cluster.name, store: result.store })}${silentPorts.map((port) => `\n${warning(`nothing comes to UDP port ${port} of this host: ${uses(port)}`)}`).join('')}\n\nnext: warren agent   (in the foreground, or from your service manager)`,
    );
    return 0;
  },
});

const uses = (port: number): string =>
  port === espPort
    ? 'where ESP does not pass, neither will it in UDP'
    : 'networks with --encrypt=false will not work here';

function tokenOf({ token, tokenFile }: { token: string; tokenFile?: string | undefined }): string {
  // yargs makes a lone - empty.
  if (token === '-' || token === '') return read('/dev/stdin', 0);
  if (tokenFile !== undefined) return read(tokenFile, tokenFile);
  if (token !== '@') return token;
  const named = process.env.WARREN_TOKEN;
  if (named) return named;
  throw new WarrenError('invalid_input', 'no join token', 'give it by - (stdin), --token-file FILE or WARREN_TOKEN');
}

function read(what: string, path: string | number): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (error) {
    throw new WarrenError('invalid_input', `cannot read the join token from ${what}: ${(error as Error).message}`);
  }
}
