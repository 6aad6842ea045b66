import { encapSettings } from '../keys/encap.ts';
import { WarrenError } from '../model/error.ts';

/** Settings that more than one command takes. */

export const encapOption = {
  choices: encapSettings,
  describe: 'send ESP by itself or in UDP (port 4500)',
  defaultDescription: 'auto: in UDP where ESP does not pass',
} as const;

/** From the environment; empty is not given. */
export function oneOf<Choice extends string>(choices: readonly Choice[], name: string): Choice | undefined {
  const given = process.env[name];
  const known = choices.find((choice) => choice === given);
  if (known || !given) return known;
  throw new WarrenError('invalid_input', `${name}=${given} is none of ${choices.join(', ')}`);
}
