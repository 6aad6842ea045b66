import type { Argv } from 'yargs';
import { given, pairs } from './ask.ts';
import type { Globals } from './command.ts';

/** What `service create` and `service update` have in common. */
export function serviceOptions(yargs: Argv<Globals>) {
  return yargs
    .option('port', {
      type: 'string',
      array: true,
      nargs: 1,
      describe: '[VIPPORT:]TARGET[/tcp|udp]: clients call VIPPORT, servers listen on TARGET',
    })
    .option('scheduler', { type: 'string', describe: 'rr, wrr, lc, wlc, sh, mh, sed or nq (default: rr)' })
    .option('affinity', { type: 'number', describe: 'seconds for which a client keeps its backend (default: 0)' })
    .option('health', {
      type: 'string',
      describe: 'tcp, http:/PATH, exec:COMMAND or none (default: tcp, or none without a TCP port)',
    })
    .option('health-interval', { type: 'number', describe: 'seconds between checks (default: 2)' })
    .option('health-timeout', { type: 'number', describe: 'seconds a check may take (default: 1)' })
    .option('health-retries', { type: 'number', describe: 'failures in a row that count (default: 2)' })
    .option('health-start-period', {
      type: 'number',
      describe: 'seconds after its start in which none counts (default: 0)',
    })
    .option('publish', {
      type: 'string',
      array: true,
      nargs: 1,
      describe: '[IP:]PORT:VIPPORT[/tcp|udp]: hosts listen on PORT; none: on nothing',
    })
    .option('publish-mode', {
      type: 'string',
      choices: ['ingress', 'host'],
      describe: 'every host leads to every backend, or hosts with backends to their own (default: ingress)',
    })
    .option('publish-from', {
      type: 'string',
      array: true,
      nargs: 1,
      describe: 'CIDR: only clients from there are answered; none: all are',
    })
    .option('label', { type: 'string', array: true, nargs: 1, describe: 'K=V' });
}

/** The one word `none` stands for an empty list: how an update takes back what was there. */
const listed = (words: readonly string[] | undefined) => (words?.length === 1 && words[0] === 'none' ? [] : words);

type Options = Awaited<ReturnType<typeof serviceOptions>['argv']>;

/** As the agent takes them. */
export function serviceParams(args: Options): Record<string, unknown> {
  const milliseconds = (seconds: number | undefined) =>
    seconds === undefined ? undefined : Math.round(seconds * 1000);
  return given({
    ports: args.port,
    scheduler: args.scheduler,
    affinity: args.affinity,
    health: args.health,
    healthInterval: milliseconds(args.healthInterval),
    healthTimeout: milliseconds(args.healthTimeout),
    healthRetries: args.healthRetries,
    healthStart: milliseconds(args.healthStartPeriod),
    publish: listed(args.publish),
    publishMode: args.publishMode,
    publishFrom: listed(args.publishFrom),
    labels: args.label && pairs(args.label),
  });
}
