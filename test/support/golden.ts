import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

/** Compares with a text file beside the tests; `UPDATE_GOLDEN=1` rewrites it, to be read before it is committed. */
export function golden(name: string, text: string): void {
  const url = new URL(`../golden/${name}.txt`, import.meta.url);
  if (process.env.UPDATE_GOLDEN || !existsSync(url)) {
    assert.ok(!process.env.CI, `no golden file ${name}.txt`);
    mkdirSync(dirname(url.pathname), { recursive: true });
    writeFileSync(url, text);
  }
  assert.equal(text, readFileSync(url, 'utf8'));
}
