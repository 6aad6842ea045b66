import { ciphers } from '../../keys/cipher.ts';
import { encapSettings } from '../../keys/encap.ts';
import { WarrenError } from '../../model/error.ts';
import { given } from '../ask.ts';
import { command } from '../command.ts';
import { requireRoot } from '../root.ts';
import { encapOption, oneOf } from '../setting.ts';

export default command({
  options: (yargs) =>
    yargs
      .option('resync', {
        type: 'number',
        describe: 'seconds between looks at everything, although the kernel and the store said nothing; 0: never',
        defaultDescription: '30',
      })
      .option('rekey-interval', {
        type: 'number',
        describe: 'seconds until a pair of hosts agrees on new keys',
        defaultDescription: '3600',
      })
      .option('down-after', {
        type: 'number',
        describe:
          'seconds within which a host that died is found dead; one that pauses for less than 40 % of them is not',
        defaultDescription: '5',
      })
      .option('cipher', { choices: ciphers, describe: 'use this one only', defaultDescription: 'the faster one' })
      .option('encap', encapOption),
  run: async (args) => {
    requireRoot();
    const [
      { Agent },
      { methodsOf },
      { isVerbose, pathsOf, requireConfig },
      { openLog },
      { refuseBareEsp },
      { Notifier },
    ] = await Promise.all([
      import('../../agent/agent.ts'),
      import('../../agent/methods.ts'),
      import('../../agent/config.ts'),
      import('../../agent/log.ts'),
      import('../../agent/init.ts'),
      import('../../agent/notify.ts'),
    ]);
    const paths = pathsOf(args);
    const config = requireConfig(paths.config);
    const { WARREN_RESYNC, WARREN_REKEY_INTERVAL, WARREN_DOWN_AFTER } = process.env;
    const resync = seconds('--resync', args.resync ?? WARREN_RESYNC, 0);
    const rekeyInterval = seconds('--rekey-interval', args.rekeyInterval ?? WARREN_REKEY_INTERVAL, 10);
    const downAfter = seconds('--down-after', args.downAfter ?? WARREN_DOWN_AFTER, 2);
    const cipher = args.cipher ?? oneOf(ciphers, 'WARREN_CIPHER');
    const encap = args.encap ?? oneOf(encapSettings, 'WARREN_ENCAP');
    if (config.local !== undefined) refuseBareEsp(encap ?? config.encap);
    const log = openLog(isVerbose(args, config));
    const notifier = new Notifier(process.env, log);
    const agent = new Agent({ ...config, ...given({ resync, rekeyInterval, downAfter, cipher, encap }) }, paths, log);
    const stop = () => {
      notifier.stopping();
      void agent.stop();
    };
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.once(signal, stop);
    try {
      await agent.start(methodsOf(agent));
      // Not when the store answers: what is in the kernel works without it, and must not be called failed for its sake.
      notifier.ready(() => (agent.synced ? `in cluster "${config.cluster}"` : 'the store has not answered yet'));
      await agent.ended;
    } finally {
      await agent.stop();
    }
    return 0;
  },
});

function seconds(what: string, given: string | number | undefined, least: number): number | undefined {
  const value = given === undefined ? undefined : Number(given);
  if (value === undefined || (value >= least && value <= 86_400)) return value;
  throw new WarrenError('invalid_input', `${what} ${given} is not a number of seconds from ${least} to 86400`);
}
