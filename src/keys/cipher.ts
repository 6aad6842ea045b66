/**
 * The cipher of a pair: AES-256-GCM where both kernels have AES in hardware, ChaCha20-Poly1305 otherwise (1.9 to 3.1 times
 * as fast without). Both sides choose by the same rule from the same two signed announcements, and the choice goes into the
 * keys: whoever chose otherwise has other keys, and nothing passes.
 */

export const ciphers = ['aes-256-gcm', 'chacha20-poly1305'] as const;
export type Cipher = (typeof ciphers)[number];

/** What one node's kernel can do. Who is to use one cipher only offers just that one. */
export type Abilities = { readonly ciphers: readonly Cipher[]; readonly fastAes: boolean };

/** The kernel's names (`ip xfrm state`); both take 32 bytes of key with 4 of salt and give a check value of 128 bits. */
export const kernelNames: Readonly<Record<Cipher, string>> = {
  'aes-256-gcm': 'rfc4106(gcm(aes))',
  'chacha20-poly1305': 'rfc7539esp(chacha20,poly1305)',
};

/** undefined: they have none in common. */
export function chooseCipher(ours: Abilities, theirs: Abilities): Cipher | undefined {
  const common = ciphers.filter((cipher) => ours.ciphers.includes(cipher) && theirs.ciphers.includes(cipher));
  const wanted: Cipher = ours.fastAes && theirs.fastAes ? 'aes-256-gcm' : 'chacha20-poly1305';
  return common.includes(wanted) ? wanted : common[0];
}

export function sameAbilities(a: Abilities, b: Abilities): boolean {
  return a.fastAes === b.fastAes && a.ciphers.join() === b.ciphers.join();
}

/**
 * Does this kernel have AES in hardware? Its own word goes first: the driver that wins for GCM in /proc/crypto, listed once
 * an SA has been tried. Where it lists none, the processor's flags tell (x86 `flags`, Arm `Features`).
 */
export function hasFastAes(procCrypto: string, cpuinfo: string): boolean {
  for (const name of ['rfc4106(gcm(aes))', 'gcm(aes)']) {
    const driver = driverOf(procCrypto, name);
    if (driver !== undefined) return !/generic|fixed-time|\blib\b/.test(driver);
  }
  return /^(?:flags|Features)\s*:.*\saes\b/m.test(cpuinfo);
}

/** The one of the highest priority: paragraphs of `field : value`. */
function driverOf(procCrypto: string, name: string): string | undefined {
  let best: { driver: string; priority: number } | undefined;
  for (const paragraph of procCrypto.split(/\n\s*\n/)) {
    const field = (label: string) => new RegExp(`^${label}\\s*: (.*)$`, 'm').exec(paragraph)?.[1]?.trim();
    if (field('name') !== name || field('internal') === 'yes') continue;
    const priority = Number(field('priority') ?? 0);
    if (!best || priority > best.priority) best = { driver: field('driver') ?? '', priority };
  }
  return best?.driver;
}
