import { createHash } from 'node:crypto';
import type { NodeId } from '../model/id.ts';
import type { Role } from '../model/node.ts';
import type { Session } from './session.ts';

/*
 * Users of a store of our own (Redis ACL, https://redis.io/docs/latest/operate/oss_and_stack/management/security/acl/).
 *   manager  everything
 *   worker   the cluster's keys but join tokens, and no command that looks at or changes the server or all keys at once
 * ACLs know keys, not fields: a worker that means harm can still damage the records of others in hashes all of them write.
 */
const workerCommands = [
  ...['-@all', '+@read', '+@write', '+@pubsub', '+@connection', '+@transaction'],
  ...['+eval', '+evalsha', '+script|load', '+time', '-@dangerous', '-@admin', '+info'],
];
const withheld = ['tokens'];

export const userOf = (node: NodeId): string => `node-${node}`;

export async function userGrant(session: Session, node: NodeId, role: Role, password: string): Promise<string> {
  const user = userOf(node);
  // By its hash: commands are in MONITOR and in slow logs.
  const hash = `#${createHash('sha256').update(password).digest('hex')}`;
  const rules = role === 'manager' ? ['~*', '&*', '+@all'] : [...workerKeys(session), ...workerCommands];
  await session.connection.use(async (client) => {
    await client.call('ACL', 'SETUSER', user, 'reset', 'on', hash, ...rules);
    await client.call('ACL', 'SAVE');
  });
  return user;
}

/** What users of workers, made by an older version, may touch becomes what ours may. */
export async function usersRegrant(session: Session, workers: readonly NodeId[]): Promise<void> {
  const rules = ['resetkeys', 'resetchannels', ...workerKeys(session), ...workerCommands];
  await session.connection.use(async (client) => {
    const known = new Set((await client.call('ACL', 'USERS')) as string[]);
    for (const user of workers.map(userOf)) if (known.has(user)) await client.call('ACL', 'SETUSER', user, ...rules);
    await client.call('ACL', 'SAVE');
  });
}

export async function userRevoke(session: Session, node: NodeId): Promise<void> {
  await session.connection.use(async (client) => {
    await client.call('ACL', 'DELUSER', userOf(node));
    await client.call('ACL', 'SAVE');
  });
}

/** The store's own certificate was renewed. */
export async function tlsReload(session: Session, certificate: string, key: string): Promise<void> {
  await session.connection.use((client) =>
    client.call('CONFIG', 'SET', 'tls-cert-file', certificate, 'tls-key-file', key),
  );
}

function workerKeys({ name, registry, channel }: Session): string[] {
  const names = Object.entries(registry).filter(([what]) => !withheld.includes(what));
  const keys = names.map(([, key]) => (typeof key === 'string' ? key : key('*' as NodeId)));
  return [...keys, `warren:{${name}/*}:*`].map((key) => `~${key}`).concat(`&${channel}`);
}
