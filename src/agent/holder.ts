import { basename, join } from 'node:path';
import { getSystemErrorName } from 'node:util';
import { holderProgram } from '../kernel/native.ts';
import { espPort } from '../keys/encap.ts';
import { WarrenError } from '../model/error.ts';
import type { Family } from '../model/ip.ts';
import { Companion, endCompanion } from './companion.ts';
import type { Log } from './log.ts';

const fileIn = (runDir: string): string => join(runDir, 'holder.json');

/**
 * Sees to it that ESP in UDP is taken in by this host: a process of its own holds the socket (native/holder), as without it
 * all that traffic stops at once.
 */
export class Holder {
  readonly #companion: Companion;

  /** `changed`: there is one now, or there is none any more. */
  constructor(runDir: string, boot: string, family: Family, log: Log, changed: () => void) {
    const address = family === 4 ? '0.0.0.0' : '::';
    this.#companion = new Companion({
      file: fileIn(runDir),
      boot,
      as: address,
      command: [holderProgram(), address, String(espPort)],
      overlaps: false, // the port is one
      isOne: ([, bound], program) => basename(program) === 'warren-holder' && bound === address,
      explain: explained,
      found: (pid) => {
        log.info('ESP in UDP is taken in', { port: espPort, pid });
        changed();
      },
      lost: (pid) => {
        log.warn('the process that holds the port for ESP in UDP has ended', { pid });
        changed();
      },
      failed: ({ message }) => log.error('ESP in UDP cannot be taken in', { error: message }),
    });
  }

  /** Is ESP taken out of UDP here? */
  get up(): boolean {
    return this.#companion.pid !== undefined;
  }

  get pid(): number | undefined {
    return this.#companion.pid;
  }

  /** Why it is not, though it should. */
  get trouble(): Error | undefined {
    return this.#companion.trouble;
  }

  /** From now on it should. */
  want(): void {
    this.#companion.want();
  }

  /** Nobody watches it any more; it stays. */
  stop(): void {
    this.#companion.stop();
  }
}

/** Ends the process that an agent of this host left behind. */
export async function endHolder(runDir: string, boot: string): Promise<void> {
  await endCompanion(fileIn(runDir), boot);
}

function explained(said: string): WarrenError {
  const [, number, where = ''] = /^error (\d+) (.*)$/.exec(said) ?? [];
  const code = number === undefined ? 'it ended' : getSystemErrorName(-Number(number));
  if (code === 'EADDRINUSE') {
    return new WarrenError(
      'port_taken',
      `UDP port ${espPort} is used by another program: ESP in UDP, which some host needs, cannot be taken in here`,
      `see which: ss -ulpn sport = :${espPort}`,
    );
  }
  if (where === 'UDP_ENCAP')
    return new WarrenError('kernel_feature_missing', `this host's kernel lacks ESP in UDP (${code})`);
  return new WarrenError('kernel', `UDP port ${espPort} cannot be held: ${[code, where].join(' ').trim()}`);
}
