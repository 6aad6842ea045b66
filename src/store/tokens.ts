import type { Role } from '../model/node.ts';
import type { Session } from './session.ts';
import { unexpected } from './session.ts';
import type { TokenVerdict, TokenWish } from './store.ts';

/** A token without an end is the role's standing one, the same every time it is asked for; others are new each time. */
export async function tokenIssue(session: Session, { id, role, ttlMs, uses, rotate }: TokenWish): Promise<string> {
  const { meta, changes, tokens } = session.registry;
  const standing = ttlMs === undefined && uses === undefined;
  const args = [id, role, ttlMs ?? 0, uses ?? 0, standing ? 1 : 0, rotate ? 1 : 0];
  const [status, issued] = session.present(await session.change('issue-token-3', '', [meta, changes, tokens], args));
  if (status !== 'ok' || !issued) throw unexpected(status);
  return issued;
}

/** May a host join by it? Counts one use. */
export async function tokenTake(session: Session, id: string, role: Role): Promise<TokenVerdict> {
  const { meta, changes, tokens } = session.registry;
  const [status] = session.present(await session.change('take-token-3', '', [meta, changes, tokens], [id, role]));
  return status as TokenVerdict;
}
