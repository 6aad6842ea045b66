import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

/** The part of a Redis client the scripts need; a single server and a Cluster both have it. */
export type Evaluator = {
  evalsha(sha: string, keyCount: number, ...args: string[]): Promise<unknown>;
  eval(lua: string, keyCount: number, ...args: string[]): Promise<unknown>;
};

/** `['ok', …]` or `[code, …details]`; numbers as text. */
export type Reply = [status: string, ...rest: string[]];

/**
 * A script's name is its file's: VERB-NOUN-KEYCOUNT. Its first line says what Redis (7.0 and newer) lets it do when the store is
 * full: new work is refused before it begins, what frees, mends or keeps alive goes on (`allow-oom`), and what only reads
 * cannot write (https://redis.io/docs/latest/develop/programmability/lua-api/#script_flags).
 */
export type Script = `${string}-${string}-${number}`;

type Loaded = { lua: string; sha: string; keyCount: number };

// Bundled into dist/, this module has dist/scripts/ beside it; from source, src/store/scripts/.
const folder = new URL('./scripts/', import.meta.url);
const loaded = new Map<Script, Loaded>();

function load(script: Script): Loaded {
  const known = loaded.get(script);
  if (known) return known;
  const lua = withIncludes(readFileSync(new URL(`${script}.lua`, folder), 'utf8'));
  const sha = createHash('sha1').update(lua).digest('hex');
  const fresh = { lua, sha, keyCount: Number(script.slice(script.lastIndexOf('-') + 1)) };
  loaded.set(script, fresh);
  return fresh;
}

/** Redis scripts cannot call one another: `-- include: NAME…` stands for what is in lib/NAME.lua. */
function withIncludes(lua: string): string {
  return lua.replace(/^-- include: (.*)$/gm, (_, names: string) =>
    names
      .split(' ')
      .map((name) => readFileSync(new URL(`lib/${name}.lua`, folder), 'utf8'))
      .join('\n'),
  );
}

/** EVALSHA, and EVAL where the server (or this shard, or the new master) has not seen the script yet. */
export async function runScript(
  client: Evaluator,
  script: Script,
  keys: readonly string[],
  args: readonly (string | number)[],
): Promise<Reply> {
  const { lua, sha, keyCount } = load(script);
  if (keys.length !== keyCount) throw new TypeError(`script ${script} called with ${keys.length} keys`);
  const all = [...keys, ...args.map(String)];
  try {
    return (await client.evalsha(sha, keyCount, ...all)) as Reply;
  } catch (error) {
    if (!(error instanceof Error && error.message.startsWith('NOSCRIPT'))) throw error;
    return (await client.eval(lua, keyCount, ...all)) as Reply;
  }
}
