/**
 * The beginning of a shell script that asks for names at a network: what comes from file descriptor 3 takes the place of the
 * host's resolv.conf, where it has one. REQUIRES: a mount namespace of its own. As ip-netns(8) does it with /etc/netns/NAME.
 */
export const ownNames = [
  'f=$(mktemp) && cat <&3 >"$f" && chmod 644 "$f" || exit 125',
  '[ ! -e /etc/resolv.conf ] || mount --bind "$f" /etc/resolv.conf || exit 125',
  'rm "$f"; exec 3<&-',
].join('; ');

/** For unshare(1): what the host mounts later is seen inside, what is mounted inside stays there. */
export const ownMounts = ['--mount', '--propagation', 'slave'] as const;
