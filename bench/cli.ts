import { spawnSync } from 'node:child_process';
import type { Bench } from './place.ts';
import { warren } from './place.ts';

/** Starting the command line, against the interpreter doing nothing. */
export const cli: Bench = async ({ a }, report, quick) => {
  const client = await a.startAgent();
  await a.said('in the cluster');
  const commands: Readonly<Record<string, readonly string[]>> = {
    'node -e 0': [process.execPath, '-e', '0'],
    'warren --version': [warren, '--version'],
    'warren status': [warren, 'status'],
    'warren --help': [warren, '--help'],
  };
  const times: Record<string, number[]> = {};
  for (let round = 0; round < (quick ? 5 : 25); round++) {
    for (const [name, [file = '', ...args]] of Object.entries(commands)) {
      const began = performance.now();
      const { status, stderr } = spawnSync(file, args, { env: a.env, encoding: 'utf8' });
      if (status !== 0) throw new Error(`${name}: ${stderr}`);
      times[name] ??= [];
      times[name].push(performance.now() - began);
    }
  }
  for (const [what, values] of Object.entries(times)) report({ bench: 'cli start', what, unit: 'ms', values });
  client.close();
};
