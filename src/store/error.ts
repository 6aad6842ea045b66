import type { ErrorCode } from '../model/error.ts';
import { WarrenError } from '../model/error.ts';

/** What a store is called in front of people, and the words that must never be. */
export type Place = { readonly url: string; readonly secrets: readonly string[] };

/** The answers every script can give before it looks at anything else. */
export function guardError(
  place: Place,
  status: 'absent' | 'store_schema' | 'store_lost_writes',
  detail: string | undefined,
): WarrenError {
  switch (status) {
    case 'absent':
      return new WarrenError(
        'not_initialized',
        `the store at ${place.url} has no such cluster`,
        'make it with: warren init',
      );
    case 'store_schema':
      return new WarrenError(
        'store_schema',
        `the store at ${place.url} was written with layout ${detail}, which this version does not know`,
        'run the same version of warren on every node',
      );
    case 'store_lost_writes':
      return new WarrenError(
        'store_lost_writes',
        `the store at ${place.url} is not the one this node knew: it was emptied or lost writes`,
        'the agents tell it again what they hold, and running containers keep their network meanwhile; see: warren status',
      );
  }
}

/** A failure of the connection or of Redis itself. The cause stays out: ioredis keeps AUTH's arguments in its errors. */
export function storeError(place: Place, error: unknown): WarrenError {
  if (error instanceof WarrenError) return error;
  const { code, words } = classify(error);
  const said = redact(words, place.secrets);
  const { url } = place;
  switch (code) {
    case 'store_auth':
      return new WarrenError(
        code,
        `the store at ${url} refuses us: ${said}`,
        'check user and password of the store URL, and that the user may run scripts on warren:*',
      );
    case 'store_readonly':
      return new WarrenError(
        code,
        `the store at ${url} takes no writes: ${said}`,
        'point --store at the primary, or see what keeps it from writing (disk, memory, replicas)',
      );
    case 'store_full':
      return new WarrenError(
        code,
        `the store at ${url} is full: it takes nothing new`,
        'give it more memory (maxmemory), or remove what is not needed; detaching works, and what there is goes on',
      );
    case 'store_too_old':
      return new WarrenError(code, `the store at ${url} is older than Redis 7.0`, 'run a newer one there');
    case 'store_unreachable':
      return new WarrenError(
        code,
        `cannot reach the store at ${url}: ${said}`,
        'is Redis running there, and does a firewall let this host in?',
      );
    default:
      return new WarrenError(code, `the store at ${url} failed: ${said}`);
  }
}

/** Would the same command fail again at once, on any connection? Then waiting for a reconnect is pointless. */
export function isFinal(error: unknown): boolean {
  return classify(error).code !== 'store_unreachable';
}

const kinds: readonly (readonly [RegExp, ErrorCode])[] = [
  [/^(WRONGPASS|NOAUTH|NOPERM)\b|invalid password|without any password configured/, 'store_auth'],
  [/^OOM\b/, 'store_full'],
  [/^(READONLY|MISCONF|NOREPLICAS)\b/, 'store_readonly'],
  // Redis is there but cannot serve now: it comes back by itself.
  [/^(LOADING|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|UNBLOCKED|BUSY)\b/, 'store_unreachable'],
  // Redis knows the first line of our scripts since 7.0.
  [/unexpected symbol near '#'/, 'store_too_old'],
  // A command that Redis answered with an error of its own.
  [/^(ERR|WRONGTYPE|CROSSSLOT|NOSCRIPT|EXECABORT)\b|user_script:/, 'internal'],
];

function classify(error: unknown): { code: ErrorCode; words: string } {
  const words = wordsOf(error);
  const code = codeOf(words) ?? 'store_unreachable';
  // "READONLY …" may be wrapped by the script that met it: "… script: f_abc, on @user_script:7: READONLY …"
  const inner = code === 'internal' ? /\b(READONLY|MISCONF|NOREPLICAS|OOM)\b/.exec(words)?.[0] : undefined;
  return { code: (inner && codeOf(inner)) || code, words };
}

const codeOf = (words: string): ErrorCode | undefined => kinds.find(([pattern]) => pattern.test(words))?.[1];

function wordsOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // Connecting to a name with several addresses fails with an AggregateError, whose own message is empty.
  if (error instanceof AggregateError && error.errors[0] instanceof Error) return wordsOf(error.errors[0]);
  // The Cluster client hides what happened to its last node.
  const last: unknown = 'lastNodeError' in error ? error.lastNodeError : undefined;
  if (last instanceof Error) return wordsOf(last);
  return error.message || error.name;
}

function redact(text: string, secrets: readonly string[]): string {
  return secrets.reduce((rest, secret) => (secret ? rest.replaceAll(secret, '[secret]') : rest), text);
}
