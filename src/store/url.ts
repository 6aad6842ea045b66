import { WarrenError } from '../model/error.ts';
import type { Place } from './error.ts';

/*
 * redis://[USER[:PASSWORD]@]HOST[:PORT][/DB]        one server
 * rediss://…                                        the same over TLS
 * redis+unix://[USER[:PASSWORD]@]/PATH[?db=DB]      one server on a socket
 * redis+sentinel://[…@]HOST[:PORT],…/NAME[/DB]      the primary the Sentinels know as NAME; rediss+sentinel: with TLS
 * redis+cluster://[…@]HOST[:PORT],…                 a Redis Cluster; rediss+cluster: with TLS
 * User and password are percent-encoded where they contain / @ : or %.
 */
export type Target = Place & {
  readonly kind: 'single' | 'sentinel' | 'cluster';
  readonly hosts: readonly { host: string; port: number }[];
  readonly path?: string;
  /** Sentinel's name of the primary. */
  readonly name?: string;
  readonly tls: boolean;
  readonly username?: string;
  readonly password?: string;
  readonly db: number;
};

const shape = /^(rediss?)(?:\+(unix|sentinel|cluster))?:\/\/(?:([^@/]*)@)?([^/?]*)(\/[^?]*)?(?:\?db=(\d+))?$/;

export function parseStoreUrl(text: string): Target {
  const match = shape.exec(text.trim());
  if (!match) throw malformed();
  const [, scheme = '', how, login, authority = '', path = '', query] = match;
  // The first colon ends the user: a password may contain more.
  const colon = login?.indexOf(':') ?? -1;
  const username = decode(login === undefined || colon < 0 ? login : login.slice(0, colon));
  const password = decode(login === undefined || colon < 0 ? undefined : login.slice(colon + 1));
  const tls = scheme === 'rediss';
  const prefix = `${scheme}${how ? `+${how}` : ''}://`;
  const base = {
    tls,
    secrets: password ? [password, encodeURIComponent(password)] : [],
    ...(username ? { username } : {}),
    ...(password ? { password } : {}),
  };
  if (how === 'unix') {
    if (authority || !path) throw malformed();
    return { ...base, kind: 'single', hosts: [], path, db: Number(query ?? 0), url: `${prefix}${path}` };
  }
  const hosts = authority.split(',').map((part) => parseHost(part, how === 'sentinel' ? 26379 : 6379));
  const [first = '', second = ''] = path.split('/').slice(1);
  const shown = hosts.map(({ host, port }) => `${host.includes(':') ? `[${host}]` : host}:${port}`).join(',');
  if (how === 'sentinel') {
    if (!first) throw malformed();
    return { ...base, kind: 'sentinel', hosts, name: first, db: toDb(second), url: `${prefix}${shown}/${first}` };
  }
  if (how === 'cluster') return { ...base, kind: 'cluster', hosts, db: 0, url: `${prefix}${shown}` };
  if (hosts.length !== 1) throw malformed();
  const db = toDb(first);
  return { ...base, kind: 'single', hosts, db, url: `${prefix}${shown}${db ? `/${db}` : ''}` };
}

function parseHost(text: string, port: number): { host: string; port: number } {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]\s]+))(?::(\d{1,5}))?$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const number = Number(match?.[3] ?? port);
  if (!host || number < 1 || number > 65535) throw malformed();
  return { host, port: number };
}

function toDb(text: string): number {
  if (!/^\d{0,5}$/.test(text)) throw malformed();
  return Number(text);
}

function decode(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  try {
    return decodeURIComponent(text);
  } catch {
    throw malformed();
  }
}

/** The text itself stays out of the message: it may hold a password. */
function malformed(): WarrenError {
  return new WarrenError(
    'invalid_input',
    'malformed store URL',
    'write redis://[USER:PASSWORD@]HOST[:PORT], rediss://…, redis+sentinel://HOST,HOST/NAME or redis+cluster://HOST,HOST',
  );
}
