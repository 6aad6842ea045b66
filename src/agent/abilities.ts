import { readFileSync } from 'node:fs';
import type { Abilities, Cipher } from '../keys/cipher.ts';
import { hasFastAes } from '../keys/cipher.ts';
import type { Family } from '../model/ip.ts';

/** What this host can encrypt with. `features` as the kernel was asked (features.ts); `forced` is the setting. */
export function abilitiesOf(
  features: Readonly<Record<string, boolean>>,
  underlay: Family,
  forced: Cipher | undefined,
): Abilities {
  const esp = underlay === 4 ? features.esp : features.esp6;
  const able: Cipher[] = [];
  if (esp) able.push('aes-256-gcm');
  if (esp && features.chacha20poly1305) able.push('chacha20-poly1305');
  return {
    ciphers: able.filter((cipher) => forced === undefined || cipher === forced),
    fastAes: hasFastAes(readOr('/proc/crypto'), readOr('/proc/cpuinfo')),
  };
}

/** Kernels without modules' list, and containers that hide it, have no /proc/crypto. */
function readOr(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
