import { type EncapSetting, encapSettings } from '../keys/encap.ts';
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

/** Where a host is and what it is called: of `init` and `join`. */
export const hostOptions = {
  advertise: { type: 'string', describe: 'address or interface the other hosts reach this one by' },
  local: {
    type: 'string',
    describe: 'behind a NAT: this host’s own address or interface; --advertise is then the NAT’s address',
  },
  name: { type: 'string', describe: 'this host’s name in the cluster', defaultDescription: 'its hostname' },
  encap: encapOption,
} as const;

type HostSettings = {
  advertise?: string | undefined;
  local?: string | undefined;
  name?: string | undefined;
  encap?: EncapSetting | undefined;
};

/** By flag, else from the environment. */
export function hostSettings({ advertise, local, name, encap }: HostSettings): HostSettings {
  const { env } = process;
  return {
    advertise: advertise ?? env.WARREN_ADVERTISE,
    local: local ?? env.WARREN_LOCAL,
    name: name ?? env.WARREN_NAME,
    encap: encap ?? oneOf(encapSettings, 'WARREN_ENCAP'),
  };
}
