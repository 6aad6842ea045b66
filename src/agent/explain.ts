import { KernelError } from '../kernel/error.ts';
import { WarrenError } from '../model/error.ts';

/** What brings it into a kernel that has modules. */
export const cures = {
  esp: 'load it with: modprobe -a xfrm_user esp4 esp6',
  ciphers: 'load it with: modprobe -a gcm seqiv chacha20poly1305',
} as const;

/** Which errno of which op means that the kernel lacks a feature, and what to do about it; $1 is what `subject` found. */
const features: readonly { op: string; subject: RegExp; errno: readonly string[]; feature: string; hint: string }[] = [
  { op: 'link.add', subject: /^vxlan/, errno: ['EOPNOTSUPP'], feature: 'vxlan', hint: 'load it with: modprobe vxlan' },
  {
    op: 'link.add',
    subject: /^bridge/,
    errno: ['EOPNOTSUPP'],
    feature: 'bridge',
    hint: 'load it with: modprobe bridge',
  },
  { op: 'link.add', subject: /^veth/, errno: ['EOPNOTSUPP'], feature: 'veth', hint: 'load it with: modprobe veth' },
  {
    op: 'nft.set',
    subject: /./,
    errno: ['EOPNOTSUPP', 'EPROTONOSUPPORT'],
    feature: 'nf_tables',
    hint: 'load it with: modprobe nf_tables',
  },
  {
    op: 'nft.set',
    subject: /./,
    errno: ['ENOPKG'],
    feature: 'libnftables',
    hint: 'install it with: apt-get install libnftables1',
  },
  {
    op: 'sa.add',
    subject: /./,
    errno: ['EPROTONOSUPPORT'],
    feature: 'IPsec (ESP)',
    hint: cures.esp,
  },
  {
    op: 'sa.add',
    subject: /./,
    errno: ['ENOSYS', 'ENOENT'],
    feature: 'a cipher of IPsec',
    hint: cures.ciphers,
  },
  {
    op: 'ipvs.set',
    subject: / scheduler (\w+)/,
    errno: ['ENOENT'],
    feature: 'a scheduler of IPVS',
    hint: 'load it with: modprobe ip_vs_$1',
  },
  ...['read', 'ipvs.set', 'ipvs.dest.set', 'ipvs.timeouts.set'].map((op) => ({
    op,
    subject: op === 'read' ? /\bipvs\b/ : /./,
    errno: ['EPROTONOSUPPORT'],
    feature: 'IPVS',
    hint: 'load it with: modprobe ip_vs',
  })),
  ...['policy.add', 'policy.set'].map((op) => ({
    op,
    subject: /./,
    errno: ['EPROTONOSUPPORT'],
    feature: 'IPsec (xfrm)',
    hint: 'load it with: modprobe xfrm_user',
  })),
];

/** What a kernel error means to the person who asked; one it has no better words for stays as it is. */
export function explain(error: unknown): unknown {
  if (!(error instanceof KernelError)) return error;
  const known = features.find(
    ({ op, subject, errno }) => op === error.op && subject.test(error.subject) && errno.includes(error.code),
  );
  if (!known) return error;
  const hint = known.hint.replace('$1', known.subject.exec(error.subject)?.[1] ?? '');
  return new WarrenError('kernel_feature_missing', `this host lacks ${known.feature} (${error.message})`, hint, {
    cause: error,
  });
}
