import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import type { EndpointJson } from '../../control/present.ts';
import { resolvConf } from '../../model/dns.ts';
import { WarrenError } from '../../model/error.ts';
import { ask, given } from '../ask.ts';
import { child } from '../child.ts';
import { command } from '../command.ts';
import { ownMounts, ownNames } from '../inside.ts';
import { fail } from '../output.ts';

/** Says when the namespace is there (fd 4), waits for the word that it is attached (fd 3), and becomes the command. */
const gate = `echo >&4; read -r go <&3 || exit 125; ${ownNames} 4>&-; exec "$@"`;

export default command({
  options: (yargs) =>
    yargs
      .positional('network', { type: 'string', demandOption: true, describe: 'name or id' })
      .option('name', { type: 'string', describe: 'the endpoint’s name' })
      .option('service', { type: 'string', describe: 'join this service' })
      .option('env', { alias: 'e', type: 'string', array: true, nargs: 1, describe: 'K=V for the command' }),
  run: async (args) => {
    const argv = args['--'] ?? [];
    if (argv.length === 0)
      throw new WarrenError('invalid_input', 'which command?', 'write: warren run NETWORK -- CMD…');
    try {
      return await runAttached(
        args,
        args.network,
        argv,
        given({ name: args.name, service: args.service }),
        args.env ?? [],
      );
    } catch (error) {
      fail(error, args.json === true);
      return 125;
    }
  },
});

async function runAttached(
  args: object,
  network: string,
  argv: readonly string[],
  wish: Record<string, unknown>,
  env: readonly string[],
): Promise<number> {
  const variables = Object.fromEntries(
    env.map((word) => [word.split('=', 1)[0] ?? '', word.slice(word.indexOf('=') + 1)]),
  );
  // The command must not outlive us unattended: its namespace goes with it, and the agent sees that.
  const inside = ['unshare', '--net', ...ownMounts, 'sh', '-c', gate, 'sh', ...argv];
  const started = child('setpriv', ['--pdeathsig', 'KILL', ...inside], {
    env: { ...process.env, ...variables },
    stdio: ['inherit', 'inherit', 'inherit', 'pipe', 'pipe'],
  });
  const go = started.process.stdio[3] as Writable;
  const born = once(started.process.stdio[4] as Readable, 'data');
  go.on('error', () => {});
  const early = started.status.then((status) => {
    throw new WarrenError('internal', `no namespace could be made (exit ${status})`, 'run it as root');
  });
  early.catch(() => {});
  await Promise.race([born, early]);
  let endpoint: EndpointJson;
  try {
    endpoint = await ask<EndpointJson>(args, 'endpoint.attach', {
      network,
      netns: `/proc/${started.process.pid}/ns/net`,
      ...wish,
    });
  } catch (error) {
    go.end(); // the gate reads the end of file and gives up
    await started.status;
    throw error;
  }
  go.end(`go\n${resolvConf(endpoint.dns)}`);
  const status = await started.status;
  await ask(args, 'endpoint.detach', { endpoint: endpoint.id, ifExists: true });
  return status;
}
