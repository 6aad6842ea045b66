import yargs from 'yargs';
import { version } from '../agent/version.ts';
import { commands } from './commands.ts';
import { fail, UsageError } from './output.ts';

/** Verbs stand in a table (commands.ts) and are loaded only when called: starting up costs what is used. */
async function main(argv: string[]): Promise<number> {
  let status = 0;
  const ours = argv.includes('--') ? argv.slice(0, argv.indexOf('--')) : argv;
  const json = ours.includes('--json');
  const root = yargs(argv)
    .scriptName('warren')
    .parserConfiguration({ 'populate--': true, 'boolean-negation': true, 'duplicate-arguments-array': true })
    .usage('$0 COMMAND\n\nMulti-host overlay networks for any network namespace, container or VM host.')
    .option('json', { type: 'boolean', describe: 'one JSON document on stdout', global: true })
    .option('verbose', { alias: 'v', type: 'boolean', describe: 'say more, on stderr', global: true })
    .option('config', {
      type: 'string',
      describe: 'configuration file',
      defaultDescription: '/etc/warren/config.yaml',
      global: true,
    })
    .option('socket', {
      type: 'string',
      describe: "the agent's socket",
      defaultDescription: '/run/warren/agent.sock',
      global: true,
    })
    .option('state-dir', {
      type: 'string',
      describe: 'where this host keeps state',
      defaultDescription: '/var/lib/warren',
      global: true,
    })
    .option('run-dir', {
      type: 'string',
      describe: 'where sockets live',
      defaultDescription: '/run/warren',
      global: true,
    })
    .version(version)
    .help()
    .alias('help', 'h')
    .strict()
    .demandCommand(1, 'which command? see: warren --help')
    .recommendCommands()
    .completion('completion', 'print a completion script: warren completion >/etc/bash_completion.d/warren')
    .wrap(Math.min(120, process.stdout.columns ?? 100))
    .exitProcess(false)
    .fail((message, error) => {
      throw error ?? new UsageError(message);
    });
  for (const { path, describe, load } of commands) {
    if (!groups.has(groupOf(path))) register(root, path, describe, load);
  }
  for (const [group, describe] of groups) {
    root.command(group, describe, (nested) => {
      for (const { path, describe, load } of commands) {
        if (groupOf(path) === group) register(nested, path.slice(group.length + 1), describe, load);
      }
      return nested.demandCommand(1, `which one? see: warren ${group} --help`);
    });
  }
  try {
    await root.parseAsync();
  } catch (error) {
    status = fail(error, json);
  }
  return status;

  function register(
    parent: ReturnType<typeof yargs>,
    command: string,
    describe: string,
    load: (typeof commands)[number]['load'],
  ): void {
    parent.command(
      command,
      describe,
      async (nested) => (await load()).options?.(nested as never) ?? nested,
      async (args) => {
        status = (await (await load()).run(args as never)) ?? 0;
      },
    );
  }
}

const groups = new Map([
  ['cluster', 'the cluster as a whole, and its limits'],
  ['network', 'make, see and remove networks'],
  ['ipam', 'addresses, and what goes with them'],
  ['endpoint', 'see and enter what is attached'],
  ['service', 'virtual IPs that are balanced over backends'],
  ['node', 'see and remove the hosts'],
]);
const groupOf = (path: string): string => path.split(' ', 1)[0] ?? '';

process.exitCode = await main(process.argv.slice(2));
