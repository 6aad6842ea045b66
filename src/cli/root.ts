import { WarrenError } from '../model/error.ts';

/** Commands that touch the kernel or our files; the others only need the agent's socket, which is root's too. */
export function requireRoot(): void {
  if (process.getuid?.() !== 0) throw new WarrenError('not_root', 'this needs root', 'try again with sudo');
}
